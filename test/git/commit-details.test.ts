import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Clone } from '../../src/git/clone.ts';
import { branchHeads } from '../../src/git/commit-branches.ts';
import { commitDetails, commitSize } from '../../src/git/commit-details.ts';
import { readManifestAt } from '../../src/git/commit-manifest.ts';
import { GitError } from '../../src/git/git-error.ts';
import { gitAt } from '../../src/git/git.ts';
import { MAIN } from '../support/git-project.ts';
import { createRepository, temporaryFolder, TEST_ENVIRONMENT, type TestRepository } from '../support/git-repository.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let repository: TestRepository;
let clone: Clone;
let plain: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  repository = await createRepository(join(folder.path, 'a.git'));
  clone = { git: gitAt(), directory: repository.directory };
  [plain = ''] = await repository.commit({ ref: MAIN, tree: { a: 'a', 'd/b': 'bb' }, message: 'One\nline\n\nMore.\n' });
});
afterAll(() => folder.remove());

/** A commit as its bytes, which git takes as they are. */
async function raw(...lines: string[]): Promise<string> {
  const tree = await repository.git('rev-parse', `${plain}^{tree}`);
  const input = Buffer.from([`tree ${tree}`, ...lines].join('\n'), 'latin1');
  const args = ['hash-object', '-t', 'commit', '-w', '--stdin', '--literally'];
  const { stdout } = await execa('git', args, { cwd: repository.directory, env: TEST_ENVIRONMENT, input });
  return stdout;
}
const who = (line: string): string[] => [`author ${line}`, 'committer C <c@example.com> 1 +0000', ''];

test('U4: who wrote a commit, when, and what it is called', async () => {
  expect(await commitDetails(clone, plain)).toEqual({
    title: 'One line',
    authorName: 'Ada',
    authorEmail: 'ada@example.com',
    authoredAt: new Date(1_700_000_000_000),
  });
  expect(await commitSize(clone, plain)).toBe(3);
});

test('U4: whatever stands in a commit, what is told of it can be stored', async () => {
  const old = await raw(...who('Ad\xe9 <ADA@Example.COM> 1700000000 +0200'), 'Ol\xe9');
  expect(await commitDetails(clone, old)).toMatchObject({ authorEmail: 'ADA@Example.COM' });
  const latin = await raw(...who('Ad\xe9 <a@b> 1 +0000').slice(0, 2), 'encoding ISO-8859-1', '', 'Ol\xe9');
  expect(await commitDetails(clone, latin)).toMatchObject({ authorName: 'Ad\u00e9', title: 'Ol\u00e9' });
  const nobody = await raw(...who(' <> 99999999999999999999 +0000'));
  expect(await commitDetails(clone, nobody)).toMatchObject({
    authorName: '',
    authorEmail: '',
    authoredAt: null,
    title: '',
  });
  const long = await raw(...who(`${'n'.repeat(5_000)} <${'e'.repeat(5_000)}> 1 +0000`), 't'.repeat(5_000));
  const { title, authorName, authorEmail } = await commitDetails(clone, long);
  expect([title, authorName, authorEmail].map(({ length }) => length)).toEqual([1_000, 1_000, 1_000]);
});

test('U4: a commit that the clone does not have is told from a clone that is broken', async () => {
  const missing = 'd'.repeat(40);
  for (const read of [commitDetails, commitSize, readManifestAt])
    await expect(read(clone, missing)).rejects.toMatchObject({ kind: 'not_found' });
  await expect(commitDetails(clone, '--all')).rejects.toThrow(GitError);
});

test('U4: branches with their heads, and neither tags nor other refs', async () => {
  await repository.git('update-ref', 'refs/tags/v1', plain);
  await repository.git('update-ref', 'refs/merge-requests/1/head', plain);
  await repository.git('update-ref', 'refs/heads/hot/ter', plain);
  await repository.git('update-ref', 'refs/heads/caf\u00e9', plain);
  await repository.git('update-ref', `refs/heads/${'long/'.repeat(60)}x`, plain);
  const heads = await branchHeads(clone);
  expect([...heads].toSorted()).toEqual([
    ['caf\u00e9', plain],
    ['hot/ter', plain],
    ['main', plain],
  ]);
});
