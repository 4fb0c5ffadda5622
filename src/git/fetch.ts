import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { accessTo, type Remote } from './credentials.ts';
import type { Surroundings } from './environment.ts';
import type { Git } from './git.ts';
import { GitError } from './git-error.ts';
import { existsAt, OLD, PARTIAL } from './leftovers.ts';
import { type Answer, runGit } from './run.ts';

/** One fetch, by whoever holds the clone's lock. */
export interface Fetching {
  git: Git;
  directory: string;
  remote: Remote;
  /** The open lock file. */
  lock: number;
  signal: AbortSignal;
}

interface RemoteHead {
  /** Full name of the default branch; null where HEAD names none that has commits. */
  branch: string | null;
  objectFormat: 'sha1' | 'sha256';
}

// Merge requests from forks have their commits nowhere else.
const REFSPECS = ['+refs/heads/*:refs/heads/*', '+refs/merge-requests/*/head:refs/merge-requests/*/head'];
const FETCH = ['fetch', '--quiet', '--prune', '--no-tags', '--no-write-fetch-head', '--no-show-forced-updates'];

const TIDYING = [
  // git's own numbers of loose objects, and of packs, that call for it
  ['gc.auto', '6700'],
  ['gc.autoPackLimit', '50'],
  // The pack of the first clone is not written again each time.
  ['gc.bigPackThreshold', '512m'],
  // Whoever still reads commits that were pushed away has begun within the hour.
  ['gc.pruneExpire', '1.day.ago'],
] as const;

/**
 * Brings all branches and heads of merge requests of an existing clone to where the remote's are; those that the remote
 * has no more go. HEAD names the remote's default branch afterwards.
 * @throws GitError
 */
export async function fetchInto(fetching: Fetching, knownHead?: RemoteHead): Promise<void> {
  const [fetched, head] = await Promise.allSettled([fetchRefs(fetching), knownHead ?? remoteHead(fetching)]);
  if (head.status === 'rejected') throw worse(fetched, head);
  if (fetched.status === 'rejected') {
    if (head.value.branch !== null || !isWithoutHead(fetched.reason)) throw fetched.reason;
    await fetchRefs(fetching, { needsHead: false });
  }
  if (head.value.branch !== null) await runLocal(fetching, ['symbolic-ref', 'HEAD', head.value.branch]);
  await tidyUp(fetching);
}

/**
 * @param needsHead refuses a remote without any HEAD. To git a web page in place of the repository can look like a
 * server of static files with no branches, upon which it would drop all of ours.
 */
async function fetchRefs(fetching: Fetching, { needsHead } = { needsHead: true }): Promise<void> {
  const { directory: gitDirectory } = fetching;
  await runRemote(fetching, [...FETCH, fetching.remote.url, ...REFSPECS, ...(needsHead ? ['HEAD'] : [])], {
    gitDirectory,
  });
}

function isWithoutHead(error: unknown): boolean {
  return error instanceof GitError && error.message.includes("couldn't find remote ref HEAD");
}

/** The fetch meets what is wrong with the clone, the look at HEAD what is wrong with the server; a clone can be mended. */
function worse(fetched: PromiseSettledResult<void>, head: PromiseRejectedResult): unknown {
  const isBroken =
    fetched.status === 'rejected' && fetched.reason instanceof GitError && fetched.reason.kind === 'corrupt';
  return isBroken ? fetched.reason : head.reason;
}

/**
 * Makes the clone in a folder beside its place and moves it there when it is complete: however this ends, there is a
 * whole clone at that place or none.
 * @throws GitError
 */
export async function cloneAnew(fetching: Fetching): Promise<void> {
  const { directory } = fetching;
  const head = await remoteHead(fetching);
  const partial = { ...fetching, directory: await mkdtemp(directory + PARTIAL) };
  await runLocal(partial, ['init', '--quiet', '--bare', '--template=', `--object-format=${head.objectFormat}`]);
  await fetchInto(partial, head);
  await runLocal(partial, ['pack-refs', '--all']);
  const old = await mkdtemp(directory + OLD);
  if (await existsAt(directory)) await rename(directory, join(old, basename(directory)));
  await rename(partial.directory, directory);
  await rm(old, { recursive: true, force: true });
}

async function remoteHead(fetching: Fetching): Promise<RemoteHead> {
  const args = ['ls-remote', '--symref', '--quiet', fetching.remote.url, 'HEAD'];
  const { stdout, stderr } = await runRemote(fetching, args, { variables: { GIT_TRACE2_EVENT: '2' } });
  // Said of every server that speaks git's protocol, and of none that only has files.
  if (!stderr.includes('"negotiated-version"')) {
    throw new GitError('unreachable', 'git ls-remote: the server does not speak git');
  }
  const text = stdout.toString();
  const id = /^([0-9a-f]+)\tHEAD$/m.exec(text)?.[1];
  return {
    branch: /^ref: (refs\/heads\/.+)\tHEAD$/m.exec(text)?.[1] ?? null,
    objectFormat: id?.length === 64 ? 'sha256' : 'sha1',
  };
}

/** A clone that could not be tidied up can be read all the same. */
async function tidyUp(fetching: Fetching): Promise<void> {
  try {
    await runLocal(fetching, ['gc', '--auto', '--quiet'], TIDYING);
  } catch (error) {
    if (!(error instanceof GitError) || error.kind !== 'failed') throw error;
  }
}

async function runRemote(
  { git, remote, lock, signal }: Fetching,
  args: string[],
  { gitDirectory, variables = {} }: Surroundings,
): Promise<Answer> {
  const access = accessTo(remote);
  const run = { ...access, variables: { ...access.variables, ...variables } };
  return runGit(git, { ...run, args, gitDirectory, lock, signal, timeoutMs: null });
}

async function runLocal(
  { git, directory, lock, signal }: Fetching,
  args: string[],
  config: typeof TIDYING | [] = [],
): Promise<Answer> {
  return runGit(git, { args, config, gitDirectory: directory, lock, signal, timeoutMs: null });
}
