import { type Clone, runIn } from './clone.ts';
import { GitError } from './git-error.ts';
import { withCommits } from './refs.ts';
import { treeEntries } from './tree.ts';

export interface CommitDetails {
  /** The first paragraph of its message, on one line. */
  title: string;
  authorName: string;
  /** As the commit has it. */
  authorEmail: string;
  /** Null where the commit has no time that can be one. */
  authoredAt: Date | null;
}

/** In characters; somebody may have written a book there. */
const LONGEST = 1_000;
const LATEST_SECONDS = Date.UTC(10_000, 0) / 1000;
const FIELDS = ['%an', '%ae', '%at', '%s'];

/**
 * Who wrote a commit, when, and what it is called.
 * @throws GitError `not_found` where the clone does not have it
 */
export async function commitDetails(clone: Clone, sha: string): Promise<CommitDetails> {
  const args = ['log', '-1', '--no-show-signature', '--encoding=UTF-8', `--format=${FIELDS.join('%x00')}`, sha, '--'];
  const { stdout } = await withCommits(clone, [sha], () => runIn(clone, args));
  const [authorName, authorEmail, seconds, title] = stdout.toString().replace(/\n$/, '').split('\0');
  if (authorName === undefined || authorEmail === undefined || title === undefined)
    throw new GitError('failed', 'git log: it printed something unknown');
  return {
    title: title.slice(0, LONGEST),
    authorName: authorName.slice(0, LONGEST),
    authorEmail: authorEmail.slice(0, LONGEST),
    authoredAt: timeOf(Number(seconds)),
  };
}

/** What the files of a commit's tree take together in bytes, as a checkout has them. @throws GitError as above */
export async function commitSize(clone: Clone, sha: string): Promise<number> {
  let sum = 0;
  for await (const { sizeBytes } of treeEntries(clone, sha)) sum += sizeBytes ?? 0;
  return sum;
}

function timeOf(seconds: number): Date | null {
  return seconds >= 0 && seconds < LATEST_SECONDS ? new Date(seconds * 1000) : null;
}
