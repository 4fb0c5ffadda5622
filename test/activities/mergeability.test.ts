import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MAIN } from '../support/git-project.ts';
import { type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';

let world: MergeWorld;
let shop: ServedRepository;
beforeAll(async () => {
  world = await startMergeWorld();
  shop = await world.addRepository('shop');
  await shop.repository.commit({ ref: MAIN, tree: BEGINNING });
});
afterAll(() => world.stop());

const lines = (count: number) => Array.from({ length: count }, (_, n) => `line ${n}\n`).join('');
const BEGINNING = { 'a.txt': lines(20), 'b.txt': lines(20), 'old/name.txt': lines(40) };

let count = 0;
/** A base and a head of their own, both from the first commit, so that tests do not get in one another's way. */
function branches() {
  const number = ++count;
  const [base, head] = [`base-${number}`, `head-${number}`];
  const commit = (branch: string, files: Record<string, string | null>, from = 'main') =>
    world.gitlab.commit(shop.project, { branch, from, files });
  return {
    base,
    head,
    commit,
    onBase: (files: Record<string, string | null>) => commit(base, files),
    onHead: (files: Record<string, string | null>) => commit(head, files),
    open: (options: { draft?: boolean } = {}) =>
      world.open(shop.project, { sourceBranch: head, targetBranch: base, ...options }),
  };
}

/** What git itself says of the two in the repository that GitLab has. */
async function gitSays(base: string, head: string) {
  const number = async (...args: string[]) => Number(await shop.repository.git(...args));
  const text = await shop.repository.git('diff', '--shortstat', '-M', `${base}...${head}`);
  const counted = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  return {
    ahead: await number('rev-list', '--count', `${base}..${head}`),
    behind: await number('rev-list', '--count', `${head}..${base}`),
    changedFiles: counted(/(\d+) files? changed/),
    additions: counted(/(\d+) insertion/),
    deletions: counted(/(\d+) deletion/),
    headSha: await shop.repository.git('rev-parse', head),
    baseSha: await shop.repository.git('rev-parse', base),
  };
}

const NOTHING = { ahead: null, behind: null, changedFiles: null, additions: null, deletions: null };

describe('the state, first that applies', () => {
  test('J6: clean: only the head has moved; the numbers are those of git', async () => {
    const { base, head, onHead, open, commit } = branches();
    await commit(base, { 'x.txt': 'x\n' });
    await commit(head, { 'a.txt': lines(22), 'old/name.txt': null, 'new/name.txt': lines(40) }, base);
    await onHead({ 'b.txt': lines(19), 'image.bin': '\u0000\u0001' });
    const opened = await open();
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'unknown', mergeable: null, ahead: null });
    const before = Date.now();
    const outcome = await world.compute(opened.ourId);
    const summary = `acme/shop!${opened.iid} is clean, 2 ahead and 0 behind`;
    expect(outcome).toEqual({ summary, state: 'clean', mergeable: true, ahead: 2, behind: 0 });
    const { mergeability } = await world.known(opened);
    expect(mergeability).toEqual({
      state: 'clean',
      mergeable: true,
      rebaseable: true,
      ...(await gitSays(base, head)),
      at: mergeability.at,
    });
    // With the rename as one file; binary ones have no lines.
    expect(mergeability).toMatchObject({ changedFiles: 4, additions: 2, deletions: 1 });
    expect(mergeability.at!.getTime()).toBeGreaterThanOrEqual(before);
  });

  test('J6: behind: both have moved, without a conflict', async () => {
    const { base, head, onBase, onHead, open } = branches();
    await onBase({ 'a.txt': `first\n${lines(20)}` });
    await onHead({ 'b.txt': `first\n${lines(20)}` });
    const opened = await open();
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({
      state: 'behind',
      mergeable: true,
      rebaseable: true,
      ...(await gitSays(base, head)),
    });
  });

  test('J6: dirty: both have changed one line; it is behind as well', async () => {
    const { base, head, onBase, onHead, open } = branches();
    await onBase({ 'a.txt': lines(20).replace('line 7', 'seven') });
    await onHead({ 'a.txt': lines(20).replace('line 7', 'VII') });
    const opened = await open();
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({
      state: 'dirty',
      mergeable: false,
      rebaseable: false,
      ...(await gitSays(base, head)),
    });
  });

  test('J6: draft, whatever else: one with a conflict cannot be merged, one without can', async () => {
    const { onBase, onHead, open } = branches();
    await onBase({ 'a.txt': 'one\n' });
    await onHead({ 'a.txt': 'two\n' });
    const conflicting = await open({ draft: true });
    await world.compute(conflicting.ourId);
    expect((await world.known(conflicting)).mergeability).toMatchObject({
      state: 'draft',
      mergeable: false,
      behind: 1,
    });
    const other = branches();
    await other.commit(other.base, {});
    await other.onHead({ 'b.txt': 'b\n' });
    const fine = await other.open({ draft: true });
    await world.compute(fine.ourId);
    expect((await world.known(fine)).mergeability).toMatchObject({ state: 'draft', mergeable: true, rebaseable: true });
  });

  test('J6: with a merge among its commits it is clean, and not to be rebased', async () => {
    const { base, head, onHead, open, commit } = branches();
    const side = await commit(`side-of-${head}`, { 'c.txt': 'c\n' });
    const fork = await commit(base, { 'x.txt': 'x\n' });
    await commit(head, { 'd.txt': 'd\n' }, base);
    const tree = await shop.repository.git('rev-parse', `${head}^{tree}`);
    const parents = ['-p', head, '-p', side];
    const merge = await shop.repository.git('commit-tree', tree, ...parents, '-m', 'merge');
    await world.gitlab.push(shop.project, { branch: head, to: merge });
    await onHead({ 'e.txt': 'e\n' });
    expect(fork).not.toBe(side);
    const opened = await open();
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({
      state: 'clean',
      mergeable: true,
      rebaseable: false,
      ...(await gitSays(base, head)),
    });
  });

  test('J6: one that brings nothing new is clean, or behind', async () => {
    const { base, head, onBase, open, commit } = branches();
    await onBase({ 'x.txt': 'x\n' });
    await world.gitlab.push(shop.project, { branch: head, to: await shop.repository.git('rev-parse', base) });
    const opened = await open();
    await world.compute(opened.ourId);
    const same = { ahead: 0, behind: 0, changedFiles: 0, additions: 0, deletions: 0 };
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'clean', mergeable: true, ...same });
    await commit(base, { 'y.txt': 'y\n' });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'behind', ...same, behind: 1 });
  });

  test('J6: unrelated histories are dirty, as git merge refuses them', async () => {
    const { base, head, onBase, open } = branches();
    await onBase({ 'x.txt': 'x\n' });
    await shop.repository.commit({ ref: `refs/heads/${head}`, tree: { 'r.txt': 'r\n' } });
    const opened = await open();
    await world.compute(opened.ourId);
    const [headSha, baseSha] = [
      await shop.repository.git('rev-parse', head),
      await shop.repository.git('rev-parse', base),
    ];
    expect((await world.known(opened)).mergeability).toMatchObject({
      ...{ state: 'dirty', mergeable: false, rebaseable: false, headSha, baseSha },
      ...{ ahead: 1, behind: 2, changedFiles: 1, additions: 1, deletions: 0 },
    });
  });
});

describe('a branch that is missing', () => {
  test('J6: makes it dirty and not mergeable, draft or not; once it is pushed again it is computed again', async () => {
    const { base, head, onBase, onHead, open } = branches();
    await onBase({ 'x.txt': 'x\n' });
    const sha = await onHead({ 'y.txt': 'y\n' });
    const opened = await open({ draft: true });
    await world.gitlab.push(shop.project, { branch: head, to: null });
    const summary = `acme/shop!${opened.iid} is dirty: a branch is missing`;
    expect(await world.compute(opened.ourId)).toMatchObject({ summary, ahead: null });
    const baseSha = await shop.repository.git('rev-parse', base);
    const dirty = { state: 'dirty', mergeable: false, rebaseable: false, ...NOTHING };
    expect((await world.known(opened)).mergeability).toMatchObject({ ...dirty, headSha: null, baseSha });
    await world.gitlab.push(shop.project, { branch: head, to: sha });
    await world.gitlab.push(shop.project, { branch: base, to: null });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ ...dirty, headSha: sha, baseSha: null });
    await world.gitlab.push(shop.project, { branch: head, to: null });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ ...dirty, headSha: null, baseSha: null });
    await world.gitlab.push(shop.project, { branch: head, to: sha });
    await world.gitlab.push(shop.project, { branch: base, to: baseSha });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'draft', mergeable: true, headSha: sha });
  });

  test('J6: names that look like others, or like patterns, are not taken for them', async () => {
    const { commit } = branches();
    await commit('release/1.0', { 'x.txt': 'x\n' });
    await commit('ünï/cøde', { 'x.txt': 'x\n' }, 'release/1.0');
    const odd = await world.open(shop.project, { sourceBranch: 'ünï/cøde', targetBranch: 'release/1.0' });
    await world.compute(odd.ourId);
    expect((await world.known(odd)).mergeability).toMatchObject({ state: 'clean', ahead: 1, behind: 0 });
    const missing = await world.open(shop.project, { sourceBranch: 'ünï/cøde', targetBranch: 'release' });
    await world.compute(missing.ourId);
    expect((await world.known(missing)).mergeability).toMatchObject({ state: 'dirty', baseSha: null });
  });
});

describe('a fork', () => {
  test('J6: its head is the one that GitLab keeps, not a branch of that name here; it follows what is pushed', async () => {
    const { base, head, onBase, onHead } = branches();
    await onBase({ 'x.txt': 'x\n' });
    await onHead({ 'a.txt': 'ours of that name\n' });
    const fork = await world.addRepository('fork-of-shop', { forkedFrom: shop.project, isTracked: false });
    await fork.repository.git('fetch', '--quiet', shop.repository.directory, `${base}:${base}`);
    const commit = (files: Record<string, string>) =>
      world.gitlab.commit(fork.project, { branch: head, from: base, files });
    const first = await commit({ 'f.txt': 'f\n' });
    const opened = await world.open(shop.project, { source: fork.project, sourceBranch: head, targetBranch: base });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'clean', ahead: 1, headSha: first });
    const second = await commit({ 'x.txt': 'theirs\n' });
    await onBase({ 'x.txt': 'ours\n' });
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({
      state: 'dirty',
      ahead: 2,
      behind: 1,
      headSha: second,
    });

    world.gitlab.deleteProject(fork.project);
    await world.keep(opened);
    await world.compute(opened.ourId);
    expect((await world.known(opened)).mergeability).toMatchObject({ state: 'dirty', mergeable: false, headSha: null });
  });
});

describe('nothing is done', () => {
  test('J6: of a merge request that is unknown, merged, closed or being merged; GitLab is not even asked', async () => {
    const { onBase, onHead, open } = branches();
    await onBase({ 'x.txt': 'x\n' });
    await onHead({ 'y.txt': 'y\n' });
    const before = world.gitlab.gitRequests.length;
    expect(await world.compute(2_000_000_000)).toEqual({
      summary: 'there is no such merge request, or its repository is not tracked',
    });
    for (const state of ['closed', 'locked', 'merged'] as const) {
      const opened = Object.assign(await open(), { state });
      await world.keep(opened);
      expect(await world.compute(opened.ourId)).toEqual({ summary: `nothing to do: it is ${state}` });
      expect((await world.known(opened)).mergeability).toMatchObject({ state: 'unknown', at: null });
    }
    expect(world.gitlab.gitRequests).toHaveLength(before);
  });

  test('J6: to the clone: a trial merge leaves no object, ref or file in it', async () => {
    const { onBase, onHead, open } = branches();
    await onBase({ 'a.txt': 'one\n' });
    await onHead({ 'a.txt': 'two\n' });
    const opened = await open();
    await world.compute(opened.ourId);
    const directory = `${world.storage}/repositories/${shop.id}.git`;
    const all = async () => (await readdir(directory, { recursive: true })).toSorted();
    const before = await all();
    await world.compute(opened.ourId);
    expect(await all()).toEqual(before);
  });
});
