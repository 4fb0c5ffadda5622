import { describe, expect, test } from 'vitest';
import { type CheckOfCommit, GITLAB_STATE, statusOfChecks } from '../../src/domain/check-status.ts';

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
