import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listMergeRequests } from '../../src/database/merge-requests.ts';
import { ancestors, type History, histories } from '../support/git-histories.ts';
import { TEST_ENVIRONMENT } from '../support/git-repository.ts';
import { type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';

// test/git/merge-property.test.ts does this with many more histories for the trial merge alone.
const HISTORIES = Number(process.env['MERGE_REQUESTS'] ?? 10);
const SEED = process.env['MERGE_REQUESTS_SEED'];

let world: MergeWorld;
let served: ServedRepository;
beforeAll(async () => {
  world = await startMergeWorld();
  served = await world.addRepository('histories');
});
afterAll(() => world.stop());

/** Branches `base-3` and `head-3` for the history of that number, with all that leads to them. */
async function push(history: History, number: number, before: number): Promise<void> {
  const { repository } = served;
  const made = await repository.commit(
    ...history.commits.map((one) => ({
      ...one,
      ref: 'refs/heads/passing',
      parents: (one.parents ?? []).map((parent) => parent + before),
    })),
  );
  await repository.git('update-ref', `refs/heads/base-${number}`, made[history.base]!);
  await repository.git('update-ref', `refs/heads/head-${number}`, made[history.head]!);
}

/** Whether `git merge` merges the one into the other, in a work tree of its own. */
async function gitMerges(number: number): Promise<boolean> {
  const place = join(world.storage, 'work');
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  const git = (...args: string[]) => execa('git', args, { cwd: place, env: TEST_ENVIRONMENT, reject: false });
  const must = async (...args: string[]) => {
    expect(await git(...args)).toMatchObject({ exitCode: 0 });
  };
  await must('init', '--quiet');
  await must('fetch', '--quiet', served.repository.directory, `base-${number}:base`, `head-${number}:head`);
  await must('checkout', '--quiet', '--force', 'base');
  // Any other exit code is a conflict, histories that are unrelated, or one of git's own mistakes in the face of conflicts.
  return (await git('merge', '--no-commit', '--no-ff', 'head')).exitCode === 0;
}

test(
  `J6: over random histories the state is what git merge and the history say (${HISTORIES} merge requests, one clone)`,
  { timeout: 60_000 + HISTORIES * 3_000 },
  async () => {
    const parameters = { numRuns: HISTORIES, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };
    const sample = fc.sample(fc.record({ history: histories, draft: fc.nat(4).map((n) => n === 0) }), parameters);
    let commits = 0;
    for (const [number, { history }] of sample.entries()) {
      await push(history, number, commits);
      commits += history.commits.length;
    }
    const ids: number[] = [];
    for (const [number, { draft }] of sample.entries()) {
      const branches = { sourceBranch: `head-${number}`, targetBranch: `base-${number}` };
      ids.push((await world.open(served.project, { ...branches, draft })).ourId);
    }
    // Those that come at the same time share a fetch.
    const outcomes = await Promise.all(ids.map((id) => world.compute(id)));
    expect(outcomes.every(({ isOutdated }) => isOutdated === undefined)).toBe(true);

    const records = await listMergeRequests(world.db, { repositoryId: served.id });
    const found = new Map(records.map((one) => [one.id, one.mergeability]));
    const seen: Record<string, number> = {};
    for (const [number, { history, draft }] of sample.entries()) {
      const [ofBase, ofHead] = [ancestors(history.commits, history.base), ancestors(history.commits, history.head)];
      const onlyHead = [...ofHead].filter((at) => !ofBase.has(at));
      const behind = [...ofBase].filter((at) => !ofHead.has(at)).length;
      const hasMerges = onlyHead.some((at) => (history.commits[at]!.parents ?? []).length > 1);
      const merges = await gitMerges(number);
      const state = draft ? 'draft' : !merges ? 'dirty' : behind > 0 ? 'behind' : 'clean';
      seen[state] = (seen[state] ?? 0) + 1;
      expect(found.get(ids[number]!), `of history ${number}: ${JSON.stringify(history)}`).toMatchObject({
        state,
        mergeable: merges,
        rebaseable: merges && !hasMerges,
        ahead: onlyHead.length,
        behind,
      });
    }
    console.log(JSON.stringify(seen));
    if (HISTORIES >= 25) expect(Object.keys(seen).length).toBeGreaterThan(2); // else it would show little
  },
);
