import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clone } from '../../src/git/clone.ts';
import { aheadBehind, hasMergeCommits, mergeBase } from '../../src/git/compare.ts';
import { createGit } from '../../src/git/git.ts';
import { trialMerge } from '../../src/git/merge.ts';
import { ancestors, type History, histories } from '../support/git-histories.ts';
import { createRepository, temporaryFolder, TEST_ENVIRONMENT, type TestRepository } from '../support/git-repository.ts';

// GIT_HISTORIES=5000 GIT_HISTORIES_SEED=… for a longer run, or one again.
const HISTORIES = Number(process.env['GIT_HISTORIES'] ?? 200);
const SEED = process.env['GIT_HISTORIES_SEED'];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clone: Clone;
let repository: TestRepository;
let commits = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  repository = await createRepository(join(folder.path, 'r.git'));
  clone = { git: await createGit({ temporaryDirectory: folder.path }), directory: repository.directory };
});

afterAll(() => folder.remove());

type Verdict =
  | { clean: true; tree: string | null }
  | { clean: false; conflicts: string[] }
  | { clean: false; refused: true }
  /** It died of a mistake of its own: of an assertion, or with conflicts, when it came to write them into the index. */
  | { clean: false; died: true };

/** What `git merge` itself says, in a fresh work tree of the base. */
async function realMerge(base: string, head: string): Promise<Verdict> {
  const place = join(folder.path, 'work');
  const gitDirectory = join(folder.path, 'work.git');
  await Promise.all([place, gitDirectory].map((path) => rm(path, { recursive: true, force: true })));
  await mkdir(place);
  const run = async (...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> => {
    const env = { ...TEST_ENVIRONMENT, GIT_DIR: gitDirectory, GIT_WORK_TREE: place };
    const { exitCode = -1, stdout, stderr } = await execa('git', args, { cwd: place, env, reject: false });
    return { exitCode, stdout, stderr };
  };
  const must = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(...args);
    if (exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  await makeGitDirectory(gitDirectory, base);
  await must('reset', '--hard', '--quiet');
  const { exitCode, stdout, stderr } = await run('merge', '--no-commit', '--no-ff', head);
  if (exitCode === 0) {
    // Another mistake of git's (2.39): it calls the merge clean, and leaves conflict markers with the sides' names in it.
    const hasMarkers = stdout.includes('this may result in nested conflict markers');
    return { clean: true, tree: hasMarkers ? null : await must('write-tree') };
  }
  if (stderr.includes('refusing to merge unrelated histories')) return { clean: false, refused: true };
  // Once in some hundred histories (git 2.39), where a renamed folder meets a file; merge-tree has no index to write.
  const isMistake =
    /^CONFLICT \(/m.test(stdout) ||
    /^BUG: merge-ort\.c:\d+: Conflicted |\bmerge-ort\.c:\d+: .*Assertion /m.test(stderr);
  if (exitCode !== 1 && isMistake) return { clean: false, died: true };
  if (exitCode !== 1) throw new Error(`git merge: exit code ${exitCode}: ${stdout} ${stderr}`);
  const unmerged = (await must('ls-files', '-u', '-z')).split('\0').filter((record) => record !== '');
  return {
    clean: false,
    conflicts: unique(
      unmerged.map((record) => record.slice(record.indexOf('\t') + 1)),
      head,
    ),
  };
}

/** Folder and file of one name: git calls the file after its side, which is HEAD in a work tree. */
function unique(paths: string[], head: string): string[] {
  return [...new Set(paths.map((path) => path.replace(new RegExp(`~(HEAD|${head})(_\\d+)?$`), '')))].sort();
}

async function makeGitDirectory(path: string, base: string): Promise<void> {
  for (const part of ['objects/info', 'refs']) await mkdir(join(path, part), { recursive: true });
  await writeFile(join(path, 'HEAD'), `${base}\n`);
  await writeFile(join(path, 'config'), '[core]\n\trepositoryformatversion = 0\n\tbare = false\n');
  await writeFile(join(path, 'objects/info/alternates'), `${join(repository.directory, 'objects')}\n`);
}

async function ourMerge(base: string, head: string): Promise<Verdict> {
  const merge = await trialMerge(clone, { base, head });
  if (merge.clean) return merge;
  if (merge.reason === 'unrelated_histories') return { clean: false, refused: true };
  if (merge.reason === 'git_bug') return { clean: false, died: true };
  return { clean: false, conflicts: merge.conflicts.map(String).sort() };
}

async function store({ commits: all }: History): Promise<string[]> {
  const offset = commits;
  commits += all.length;
  return repository.commit(
    ...all.map((one, at) => ({
      ...one,
      ref: `refs/heads/${offset + at}`,
      parents: (one.parents ?? []).map((parent) => parent + offset),
    })),
  );
}

describe('over random histories', () => {
  test(
    `J6: trial merge, ahead and behind, and merge commits are what git merge and the history say (${HISTORIES} histories)`,
    { timeout: 120_000 + HISTORIES * 3_000 },
    async () => {
      let died = 0;
      const seen = { clean: 0, conflicts: 0, refused: 0, crosswise: 0, upToDate: 0 };
      await fc.assert(
        fc.asyncProperty(histories, async (history) => {
          const ids = await store(history);
          const sides = { base: ids[history.base]!, head: ids[history.head]! };
          const ours = await ourMerge(sides.base, sides.head);
          const real = await realMerge(sides.base, sides.head);
          if ('died' in real) {
            died += 1;
            expect(ours.clean).toBe(false);
          } else if (real.clean && real.tree === null) expect(ours.clean).toBe(true);
          else expect(ours).toEqual(real);

          const [ofBase, ofHead] = [ancestors(history.commits, history.base), ancestors(history.commits, history.head)];
          const onlyHead = [...ofHead].filter((at) => !ofBase.has(at));
          const behind = [...ofBase].filter((at) => !ofHead.has(at)).length;
          expect(await aheadBehind(clone, sides)).toEqual({ ahead: onlyHead.length, behind });
          const merges = onlyHead.filter((at) => (history.commits[at]!.parents ?? []).length > 1);
          expect(await hasMergeCommits(clone, sides)).toBe(merges.length > 0);

          const common = [...ofBase].filter((at) => ofHead.has(at));
          const bases = common.filter(
            (at) => !common.some((other) => other !== at && ancestors(history.commits, other).has(at)),
          );
          const found = await mergeBase(clone, sides);
          if (found === null) expect(bases).toEqual([]);
          else expect(bases.map((at) => ids[at])).toContain(found);

          seen[ours.clean ? 'clean' : 'refused' in ours ? 'refused' : 'conflicts'] += 1;
          if (bases.length > 1) seen.crosswise += 1;
          if (onlyHead.length === 0) seen.upToDate += 1;
        }),
        { numRuns: HISTORIES, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
      );
      // Histories that never conflict, or never cross, would show little.
      console.log(JSON.stringify({ ...seen, died }));
      expect(seen.clean).toBeGreaterThan(HISTORIES / 10);
      expect(seen.conflicts).toBeGreaterThan(HISTORIES / 10);
      expect(died).toBeLessThan(3 + HISTORIES / 20);
      if (HISTORIES >= 200) expect(Math.min(...Object.values(seen))).toBeGreaterThan(0);
    },
  );
});
