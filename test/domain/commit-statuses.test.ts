import { describe, expect, test } from 'vitest';
import type { ChecksStatus } from '../../src/domain/check-status.ts';
import { type ReportedCommit, statusesToPost } from '../../src/domain/commit-statuses.ts';

const NOTHING: ReportedCommit = {
  state: 'completed',
  failure: null,
  checksState: 'unknown',
  checksDetail: null,
  checks: [],
  coverage: null,
};
const LINT = { plugin: 'lint', state: 'completed', problems: 2 } as const;
const SPELL = { plugin: 'spell', state: 'completed', problems: 0 } as const;

const posted = (commit: Partial<ReportedCommit>, told: Record<string, ChecksStatus> = {}) =>
  statusesToPost({ ...NOTHING, ...commit }, new Map(Object.entries(told)));
const forgeflow = (state: ChecksStatus['state'], description: string) => [{ name: 'forgeflow', state, description }];

describe('U4: what GitLab is told of the checks of a commit', () => {
  test.each<[string, Partial<ReportedCommit>, ReturnType<typeof posted>]>([
    ['nothing before its manifest was read', {}, []],
    ['nothing where no checks are configured', { checksState: 'not_configured' }, []],
    [
      'that they are under way',
      { checksState: 'pending', checks: [{ plugin: 'lint', state: 'running' }] },
      forgeflow('pending', '1 check is under way'),
    ],
    [
      'that they are, however many are over',
      { checksState: 'pending', checks: [LINT, { plugin: 'spell', state: 'waiting' }] },
      forgeflow('pending', '2 checks are under way'),
    ],
    [
      'that there are no issues',
      { checksState: 'success', checks: [SPELL] },
      forgeflow('success', 'No issues detected'),
    ],
    [
      'how many there are',
      { checksState: 'failure', checks: [LINT, SPELL] },
      forgeflow('failure', '2 issues detected'),
    ],
    [
      'why one could not be run',
      {
        checksState: 'error',
        checks: [LINT, { plugin: 'spell', state: 'failed', reason: 'was not done within 600 s' }],
      },
      forgeflow('error', 'spell was not done within 600 s'),
    ],
    [
      'the line in which its manifest is wrong',
      { checksState: 'error', checksDetail: '.forgeflow.yaml, line 4, column 5: colour: there is no such key' },
      forgeflow('error', '.forgeflow.yaml, line 4, column 5: colour: there is no such key'),
    ],
    [
      'why it could not be cloned',
      { state: 'errored', checksState: 'error', failure: 'git fetch: the disk is full' },
      forgeflow('error', 'git fetch: the disk is full'),
    ],
    [
      'the same while that is tried again',
      { state: 'in_progress', checksState: 'error', failure: 'git fetch: the disk is full' },
      forgeflow('error', 'git fetch: the disk is full'),
    ],
  ])('%s', (_, commit, wanted) => {
    expect(posted(commit)).toEqual(wanted);
  });

  test('no more than 255 characters, on one line', () => {
    const [status] = posted({ state: 'errored', failure: `broken\n${'\u{1f3fa}'.repeat(300)}` });
    expect(Array.from(status!.description)).toHaveLength(255);
    expect(status!.description).toMatch(/^broken \u{1f3fa}+…$/u);
  });
});

describe('U4: what GitLab knows it is not told again', () => {
  const failed = { checksState: 'failure', checks: [LINT] } as const;

  test('nor of what is pending, which it keeps as it was first told', () => {
    expect(posted(failed, { forgeflow: { state: 'failure', description: '2 issues detected' } })).toEqual([]);
    const pending = { checksState: 'pending', checks: [LINT, { plugin: 'spell', state: 'running' }] } as const;
    expect(posted(pending, { forgeflow: { state: 'pending', description: '1 check is under way' } })).toEqual([]);
  });

  test('but of all that is not so any more', () => {
    const told = { forgeflow: { state: 'failure', description: '3 issues detected' } } as const;
    expect(posted(failed, told)).toEqual(forgeflow('failure', '2 issues detected'));
    expect(posted({ checksState: 'pending', checks: [LINT] }, told)).toEqual(
      forgeflow('pending', '1 check is under way'),
    );
    // It could not be cloned at first.
    expect(posted({ checksState: 'not_configured' }, told)).toEqual(forgeflow('success', 'No checks are configured'));
  });
});

test('U5: coverage is a status of its own', () => {
  const coverage = { isEnough: false, description: '94.29% covered (at least 95% is required)' };
  const wanted = { name: 'forgeflow/coverage', state: 'failure', description: coverage.description };
  expect(posted({ coverage })).toEqual([wanted]);
  expect(posted({ coverage, checksState: 'success', checks: [SPELL] })).toEqual([
    ...forgeflow('success', 'No issues detected'),
    wanted,
  ]);
  const told = { 'forgeflow/coverage': { state: 'failure', description: coverage.description } } as const;
  expect(posted({ coverage }, told)).toEqual([]);
  expect(posted({ coverage: { isEnough: true, description: '95% covered' } }, told)).toMatchObject([
    { state: 'success', description: '95% covered' },
  ]);
});
