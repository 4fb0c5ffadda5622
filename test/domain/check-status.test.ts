import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CheckOfCommit,
  GITLAB_STATE,
  isCurrentRun,
  runsToCancel,
  statusOfChecks,
} from '../../src/domain/check-status.ts';

const done = (problems: number, plugin = 'eslint'): CheckOfCommit => ({ plugin, state: 'completed', problems });
const failed = (reason: string, plugin = 'eslint'): CheckOfCommit => ({ plugin, state: 'failed', reason });
const waiting: CheckOfCommit = { plugin: 'ruff', state: 'waiting' };
const running: CheckOfCommit = { plugin: 'ruff', state: 'running' };

describe('U4a: the commit status', () => {
  test.each<[string, CheckOfCommit[], string, string]>([
    ['nothing begun', [waiting, waiting], 'pending', '0 of 2 checks are done'],
    ['some over', [done(3), running], 'pending', '1 of 2 checks are done'],
    ['a failed one and one that runs', [failed('crashed'), running], 'pending', '1 of 2 checks are done'],
    ['all well', [done(0), done(0)], 'success', 'No issues detected'],
    ['one problem', [done(0), done(1)], 'failure', '1 issue detected'],
    ['problems of several', [done(2), done(3)], 'failure', '5 issues detected'],
    ['a failed one', [failed('was ended by SIGSEGV')], 'error', 'eslint was ended by SIGSEGV'],
    ['a failed one beside problems', [done(7), failed('crashed', 'ruff')], 'error', 'ruff crashed'],
    ['two failed', [failed('crashed'), failed('hung', 'ruff')], 'error', 'eslint crashed (and 1 more)'],
  ])('%s', (_, checks, state, description) => {
    expect(statusOfChecks(checks)).toEqual({ state, description });
  });

  test('none for a commit without checks', () => {
    expect(statusOfChecks([])).toBeNull();
  });

  test('a description is one line that GitLab takes', () => {
    const status = statusOfChecks([failed(`said\n ${'🙈'.repeat(400)}`), failed('x'), failed('y')]);
    expect(Array.from(status!.description)).toHaveLength(255);
    expect(status!.description).toMatch(/^eslint said 🙈+… \(and 2 more\)$/u);
    expect(Buffer.from(status!.description).toString()).toBe(status!.description);
  });

  test('in words of GitLab', () => {
    expect(GITLAB_STATE).toEqual({ pending: 'pending', success: 'success', failure: 'failed', error: 'failed' });
  });
});

describe('U4a: a newer run for the commit', () => {
  const runs = [
    { number: 1, isOver: true },
    { number: 2, isOver: false },
    { number: 3, isOver: false },
  ];

  test('cancels the older ones that are not over', () => {
    expect(runsToCancel(runs, 3)).toEqual([2]);
    expect(runsToCancel(runs, 4)).toEqual([2, 3]);
    expect(runsToCancel(runs, 1)).toEqual([]);
    expect(runsToCancel([], 1)).toEqual([]);
  });

  test('is the only one that reports', () => {
    expect(runs.map(({ number }) => isCurrentRun(runs, number))).toEqual([false, false, true]);
    expect(isCurrentRun([{ number: 9, isOver: true }], 8)).toBe(false);
    expect(isCurrentRun([], 1)).toBe(true);
  });

  test('leaves one run in whatever order they are asked for', () => {
    const orders = fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1 });
    fc.assert(
      fc.property(orders, (numbers) => {
        const seen: { number: number; isOver: boolean }[] = [];
        for (const number of numbers) {
          seen.push({ number, isOver: !isCurrentRun(seen, number) });
          for (const run of seen) if (runsToCancel(seen, number).includes(run.number)) run.isOver = true;
        }
        expect(seen.filter(({ isOver }) => !isOver).map(({ number }) => number)).toEqual([Math.max(...numbers)]);
      }),
    );
  });
});
