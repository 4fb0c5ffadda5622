import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aheadBehind, diffStatistics, hasMergeCommits, mergeBase } from '../../src/git/compare.ts';
import { createGit } from '../../src/git/git.ts';
import type { Clone } from '../../src/git/clone.ts';
import { createRepository, temporaryFolder, type TestRepository } from '../support/git-repository.ts';

const lines = (...texts: string[]): string => texts.map((text) => `${text}\n`).join('');
const MAIN = 'refs/heads/main';
const SIDE = 'refs/heads/side';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clone: Clone;
let repository: TestRepository;
let ids: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  repository = await createRepository(`${folder.path}/r.git`);
  const kept = { kept: lines('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h') };
  ids = await repository.commit(
    { ref: MAIN, tree: kept },
    { ref: MAIN, parents: [0], tree: { ...kept, main: lines('1') } },
    { ref: SIDE, parents: [0], tree: { moved: lines('a', 'b', 'c', 'd', 'e', 'f', 'g', 'H') } },
    { ref: SIDE, parents: [2], tree: { moved: kept.kept, binary: Buffer.from([0, 1, 2]), new: lines('1', '2') } },
    { ref: 'refs/heads/merged', parents: [3, 1], tree: { moved: kept.kept, main: lines('1') } },
    { ref: 'refs/heads/other', tree: { alone: lines('1', '2', '3') } },
  );
  clone = { git: await createGit(), directory: repository.directory };
});

afterAll(() => folder.remove());

const sides = (base: number, head: number): { base: string; head: string } => ({ base: ids[base]!, head: ids[head]! });

describe('comparing two commits', () => {
  test('J6: ahead and behind', async () => {
    expect(await aheadBehind(clone, sides(1, 3))).toEqual({ ahead: 2, behind: 1 });
    expect(await aheadBehind(clone, sides(3, 1))).toEqual({ ahead: 1, behind: 2 });
    expect(await aheadBehind(clone, sides(1, 4))).toEqual({ ahead: 3, behind: 0 });
    expect(await aheadBehind(clone, sides(1, 1))).toEqual({ ahead: 0, behind: 0 });
  });

  test('J6: the merge base; null for histories without a common commit', async () => {
    expect(await mergeBase(clone, sides(1, 3))).toBe(ids[0]);
    expect(await mergeBase(clone, sides(1, 5))).toBeNull();
  });

  test('J6: statistics count from the merge base; a moved file is one file, a binary one has no lines', async () => {
    expect(await diffStatistics(clone, sides(1, 2))).toEqual({ files: 1, additions: 1, deletions: 1 });
    expect(await diffStatistics(clone, sides(1, 3))).toEqual({ files: 3, additions: 2, deletions: 0 });
    expect(await diffStatistics(clone, sides(3, 1))).toEqual({ files: 1, additions: 1, deletions: 0 });
    expect(await diffStatistics(clone, sides(1, 0))).toEqual({ files: 0, additions: 0, deletions: 0 });
  });

  test('J6: statistics of unrelated histories count all that the head has', async () => {
    expect(await diffStatistics(clone, sides(1, 5))).toEqual({ files: 1, additions: 3, deletions: 0 });
    expect(await aheadBehind(clone, sides(1, 5))).toEqual({ ahead: 1, behind: 2 });
  });

  test('J6: merge commits count on the side of the head alone', async () => {
    expect(await hasMergeCommits(clone, sides(1, 3))).toBe(false);
    expect(await hasMergeCommits(clone, sides(1, 4))).toBe(true);
    expect(await hasMergeCommits(clone, sides(4, 1))).toBe(false);
  });

  test('J6: a commit that the clone does not have is not found, which is no sign of a broken clone', async () => {
    const missing = { base: ids[0]!, head: '1'.repeat(40) };
    for (const ask of [aheadBehind, diffStatistics, hasMergeCommits, mergeBase]) {
      await expect(ask(clone, missing)).rejects.toMatchObject({
        kind: 'not_found',
        message: `the clone has no commit ${missing.head}`,
      });
    }
  });

  test.each(['main', '--all', 'HEAD~1', ''])('J6: %j is no id of a commit', async (base) => {
    await expect(aheadBehind(clone, { base, head: ids[0]! })).rejects.toMatchObject({ kind: 'failed' });
  });
});
