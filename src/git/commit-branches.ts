import { branchName } from '../domain/merge-request.ts';
import { type Clone, runIn } from './clone.ts';
import { explain } from './git-error.ts';

/** Repositories with hundreds of thousands of branches are not looked after. */
const LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * All branches, by their short names, with the commits at their heads. Those with names that we would not take from GitLab
 * either are left out.
 * @throws GitError
 */
export async function branchHeads(clone: Clone): Promise<Map<string, string>> {
  const args = ['for-each-ref', '--format=%(objectname) %(refname:lstrip=2)', 'refs/heads/'];
  const { stdout, stderr } = await runIn(clone, args, { stdoutLimitBytes: LIMIT_BYTES });
  // A ref that is broken is passed over otherwise, and its branch would look deleted.
  if (stderr !== '') throw explain({ command: 'for-each-ref', exitCode: 0, stderr, secrets: [] });
  const heads = new Map<string, string>();
  for (const line of stdout.toString().split('\n')) {
    const [sha = '', name = ''] = line.split(' ');
    if (branchName.safeParse(name).success) heads.set(name, sha);
  }
  return heads;
}
