import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stateOfConclusion, stateOfGitlabStatus } from '../../src/domain/status-mapping.ts';
import { STATUS_STATES } from '../../src/domain/status-rollup.ts';

describe('conclusions', () => {
  test.each([
    ['success', 'success'],
    ['neutral', 'success'],
    ['skipped', 'success'],
    ['failure', 'failure'],
    ['timed_out', 'failure'],
    ['startup_failure', 'failure'],
    ['action_required', 'error'],
    ['cancelled', 'error'],
    ['stale', 'error'],
    ['constructor', 'error'],
    ['something new', 'error'],
    [null, 'error'],
  ])('J9: completed, %s: %s', (conclusion, state) => {
    expect(stateOfConclusion('completed', conclusion)).toBe(state);
  });

  test.each(['queued', 'in_progress', 'waiting', 'requested', 'pending', ''])('J9: %j is pending', (status) => {
    for (const conclusion of [null, 'success', 'failure'])
      expect(stateOfConclusion(status, conclusion)).toBe('pending');
  });
});

describe("GitLab's states", () => {
  test.each([
    ['created', 'pending', 'pending'],
    ['waiting_for_resource', 'pending', 'pending'],
    ['waiting_for_callback', 'pending', 'pending'],
    ['preparing', 'pending', 'pending'],
    ['pending', 'pending', 'pending'],
    ['running', 'pending', 'pending'],
    ['canceling', 'pending', 'pending'],
    ['scheduled', 'pending', 'pending'],
    ['success', 'success', 'success'],
    ['skipped', 'success', 'success'],
    ['failed', 'failure', 'success'],
    ['canceled', 'error', 'success'],
    ['manual', 'pending', 'success'],
    ['waiting_for_godot', 'pending', 'pending'],
    ['toString', 'pending', 'pending'],
  ])('J9: %s: %s; of a job that may fail: %s', (status, state, mayFail) => {
    expect(stateOfGitlabStatus({ status })).toBe(state);
    expect(stateOfGitlabStatus({ status, allowFailure: false })).toBe(state);
    expect(stateOfGitlabStatus({ status, allowFailure: true })).toBe(mayFail);
  });

  test('J9: every word has a state', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (status, allowFailure) => {
        expect(STATUS_STATES).toContain(stateOfGitlabStatus({ status, allowFailure }));
      }),
    );
  });
});
