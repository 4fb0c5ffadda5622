import { type Clone, runIn } from './clone.ts';
import { explain, GitError } from './git-error.ts';
import { checkObjectIds } from './object-id.ts';

/** The commit at the head of a branch, by its short name; null where there is no such branch. @throws GitError */
export async function branchHead(clone: Clone, branch: string): Promise<string | null> {
  return resolveRef(clone, `refs/heads/${branch}`);
}

/** The commit at the head of a merge request, by its number within the project; null where there is none. @throws GitError */
export async function mergeRequestHead(clone: Clone, iid: number): Promise<string | null> {
  return resolveRef(clone, `refs/merge-requests/${iid}/head`);
}

/**
 * The branch that the remote's HEAD names, by its short name; null where it has no commits.
 * @throws GitError
 */
export async function defaultBranch(clone: Clone): Promise<string | null> {
  return (await defaultHead(clone))?.branch ?? null;
}

/** The same with the commit at its head. @throws GitError */
export async function defaultHead(clone: Clone): Promise<{ branch: string; commit: string } | null> {
  // Both at once, where nothing is unusual: to start git takes longer than what it does here.
  const both = await runIn(clone, ['rev-parse', 'HEAD^{commit}', '--symbolic-full-name', 'HEAD'], { accept: [0, 128] });
  const [, commit, branch] = /^([0-9a-f]+)\nrefs\/heads\/(.+)\n$/.exec(both.stdout.toString()) ?? [];
  if (commit !== undefined && branch !== undefined) return { branch, commit };
  return headStepByStep(clone);
}

/** There may be no commits, or a clone that is broken. */
async function headStepByStep(clone: Clone): Promise<{ branch: string; commit: string } | null> {
  const { stdout } = await runIn(clone, ['symbolic-ref', '--quiet', 'HEAD'], { accept: [0, 1] });
  const branch = /^refs\/heads\/(.+)\n$/.exec(stdout.toString())?.[1];
  const commit = branch === undefined ? null : await branchHead(clone, branch);
  return branch === undefined || commit === null ? null : { branch, commit };
}

/** What a ref, by its full name, points to; null where there is none of that very name. @throws GitError */
export async function resolveRef(clone: Clone, name: string): Promise<string | null> {
  // Not rev-parse, to which `refs/heads/main~1` is a commit; not show-ref, to which a broken ref is none. This one takes
  // the name for a pattern.
  const { stdout, stderr } = await runIn(clone, ['for-each-ref', '--format=%(objectname) %(refname)', '--', name]);
  if (stderr !== '') throw explain({ command: 'for-each-ref', exitCode: 0, stderr, secrets: [] });
  for (const line of stdout.toString().split('\n')) {
    const [id = '', found] = line.split(' ');
    if (found === name) return id;
  }
  return null;
}

/** Whether the clone has that commit. @throws GitError */
export async function hasCommit(clone: Clone, id: string): Promise<boolean> {
  checkObjectIds(id);
  const command = ['cat-file', '--batch-check=%(objecttype)'];
  const { stdout, stderr } = await runIn(clone, command, { input: `${id}^{commit}\n` });
  if (stdout.toString() === 'commit\n') return true;
  if (stderr !== '') throw explain({ command: 'cat-file', exitCode: 0, stderr, secrets: [] });
  return false;
}

/**
 * Does work that names commits. Git says the same of a commit that it never had and of a clone that is broken; here
 * they are told apart. (That a branch's own commit is lost is found by the fetch.)
 * @throws GitError `not_found` where one of the commits is not there
 */
export async function withCommits<T>(clone: Clone, ids: readonly string[], work: () => Promise<T>): Promise<T> {
  checkObjectIds(...ids);
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof GitError) || !['corrupt', 'failed'].includes(error.kind)) throw error;
    for (const id of ids) {
      if (!(await hasCommit(clone, id))) throw new GitError('not_found', `the clone has no commit ${id}`);
    }
    throw error;
  }
}
