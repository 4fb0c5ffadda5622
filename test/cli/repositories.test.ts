import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Repository, RepositoryWithMergeRequests } from '../../src/client/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

let environment: MergeEnvironment;
let env: Record<string, string>;
beforeAll(async () => {
  environment = await startMergeEnvironment();
  env = { ...environment.variables, FORGEFLOW_HOME: mkdtempSync(join(tmpdir(), 'forgeflow-cli-')) };
});
afterAll(async () => {
  await environment.stop();
  rmSync(env['FORGEFLOW_HOME'] ?? '', { recursive: true });
});

const run = (...args: string[]) => forgeflow(['repositories', ...args], env);

// The order matters: each goes on from the state that the one before left.
describe('forgeflow repositories', () => {
  test('list, while none is tracked, says how one is', async () => {
    const { exitCode, stdout } = await run('list');
    expect([exitCode, stdout]).toEqual([
      0,
      'No repositories are tracked; "forgeflow repositories add group/project" tracks one.',
    ]);
  });

  test('add tracks one, and the jobs for it are under way', async () => {
    const { project, repository } = await environment.serve('shop');
    await repository.git('branch', 'topic', 'main');
    await environment.gitlab.commit(project, { branch: 'topic', files: { 'b.txt': 'b\n' } });
    const title = 'A title that is longer than what there is room for';
    await environment.gitlab.openMergeRequest(project, { sourceBranch: 'topic', title });
    const { exitCode, stdout, stderr } = await run('add', 'acme/shop', '--required-approvals', '2');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Tracked acme\/shop \(id \d+\); the jobs for it are under way\.$/);
  });

  test('show has its open merge requests and what the jobs found out, for people and as JSON', async () => {
    await eventually(async () => {
      const { index, mergeRequests } = await environment.forgeflow.repositories.show('acme/shop');
      expect(index).not.toBeNull();
      expect(mergeRequests).toMatchObject([{ mergeState: 'clean', reviewDecision: 'review_required' }]);
    });
    await eventually(async () => {
      // Whose other jobs are under way.
      const shown = await forgeflowJson<RepositoryWithMergeRequests>(['repositories', 'show', 'acme/shop'], env);
      expect(shown).toEqual(await environment.forgeflow.repositories.show('acme/shop'));
      expect(shown).toMatchObject({ path: 'acme/shop', requiredApprovals: 2, openMergeRequests: 1, members: 1 });
    });
    const { stdout } = await run('show', 'acme/shop');
    expect(stdout).toMatch(/^acme\/shop\n\nid +\d+ \(in GitLab \d+\)$/m);
    expect(stdout).toMatch(/^head +main [0-9a-f]{10}$/m);
    expect(stdout).toMatch(/^clone +[\d.]+ (KiB|B), brought up to date \d{4}-\d\d-\d\d/m);
    expect(stdout).toMatch(/^index +2 files, of [0-9a-f]{10}, made \d{4}-/m);
    expect(stdout).toMatch(/^approvals +2 required$/m);
    expect(stdout).toMatch(/^MERGE REQUEST +TITLE +INTO +STATE +AHEAD +BEHIND +CHANGES +REVIEWS +CHECKS$/m);
    expect(stdout).toMatch(
      /^!1 \(\d+\) +A title that is longer than what there … +main +clean +1 +0 +1 file \+1 -0 +review_required +–$/m,
    );
  });

  test('add once more, for what GitLab says; list is a table, and a list as JSON', async () => {
    const added = await forgeflowJson<Repository>(
      ['repositories', 'add', 'acme/shop', '--required-approvals', 'gitlab'],
      env,
    );
    expect(added).toMatchObject({ path: 'acme/shop', requiredApprovals: null });
    await eventually(async () => {
      expect(await forgeflowJson<Repository[]>(['repositories', 'list'], env)).toEqual(
        await environment.forgeflow.repositories.list(),
      );
    });
    const { stdout } = await run('list');
    expect(stdout).toMatch(
      /^REPOSITORY +ID +HEAD +SIZE +COVERAGE +INDEX +MEMBERS +OPEN +FETCHED\nacme\/shop +\d+ +main [0-9a-f]{10} +\S+ \S+ +– +2 files +1 +1 +\d{4}-/,
    );
  });

  test('remove takes it away', async () => {
    expect(await forgeflowJson(['repositories', 'remove', 'acme/shop'], env)).toEqual({
      path: 'acme/shop',
      removed: true,
    });
    expect(await environment.forgeflow.repositories.list()).toEqual([]);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      'show of one that is not tracked',
      ['show', 'acme/shop'],
      3,
      /^error: no repository "acme\/shop" is tracked; "forgeflow repositories list" shows those that are$/,
    ],
    ['remove of one that is not tracked', ['remove', 'acme/shop'], 3, /^error: no repository "acme\/shop" is tracked/],
    [
      'add of one that GitLab does not show',
      ['add', 'acme/nothing'],
      3,
      /^error: there is no repository acme\/nothing that our account sees$/,
    ],
    ['add of what is no path', ['add', 'shop'], 2, /^error: path: it is not the path of a repository, group\/project$/],
    [
      'add with too many approvals',
      ['add', 'acme/shop', '--required-approvals', '101'],
      2,
      /^error: requiredApprovals: it is not a whole number from 0 to 100$/,
    ],
    [
      'add with nonsense for approvals',
      ['add', 'acme/shop', '--required-approvals', 'two'],
      2,
      /It is neither a whole number nor "gitlab"\./,
    ],
    ['add without a path', ['add'], 2, /missing required argument 'path'/],
  ])('bad input: %s', async (_, args, exitCode, message) => {
    const result = await run(...args);
    expect([result.exitCode, result.stdout]).toEqual([exitCode, '']);
    expect(result.stderr).toMatch(message);
  });

  test('add that GitLab has no patience for fails with one sentence', async () => {
    environment.gitlab.rateLimit.refuse({ forSeconds: 600 });
    const { exitCode, stdout, stderr } = await run('add', 'acme/shop', '--json');
    environment.gitlab.rateLimit.allow();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^error: GitLab's rate limit is used up; try again after \S+Z$/);
  });
});
