import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { readBlobs } from '../../src/git/blobs.ts';
import type { Clone } from '../../src/git/clone.ts';
import { Clones } from '../../src/git/clones.ts';
import { aheadBehind } from '../../src/git/compare.ts';
import type { Remote } from '../../src/git/credentials.ts';
import { createGit, type Git } from '../../src/git/git.ts';
import { trialMerge } from '../../src/git/merge.ts';
import { branchHead } from '../../src/git/refs.ts';
import { treeEntries } from '../../src/git/tree.ts';
import { createRepository, temporaryFolder, type TestRepository } from './git-repository.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { testProgram } from './test-program.ts';

/** A repository on a server of its own, and a place for clones. */
export interface Project {
  repository: TestRepository;
  server: GitServer;
  remote: Remote;
  git: Git;
  storage: string;
  clones: Clones;
  /** Names of what lies in the folder of the clones. */
  names(): Promise<string[]>;
  close(): Promise<void>;
}

export const MAIN = 'refs/heads/main';

export async function startProject(): Promise<Project> {
  const folder = await temporaryFolder();
  const root = join(folder.path, 'server');
  const storage = join(folder.path, 'storage');
  const [repository, server, git] = await Promise.all([
    createRepository(join(root, 'project.git')),
    startGitServer({ root }),
    createGit(),
  ]);
  return {
    repository,
    server,
    remote: { url: `${server.url}/project.git`, allowHttp: true },
    git,
    storage,
    clones: new Clones(git, storage),
    names: () => readdir(join(storage, 'repositories')),
    async close() {
      await server.close();
      await folder.remove();
    },
  };
}

/** Text that does not compress much. */
export function noise(bytes: number): string {
  return Array.from({ length: bytes / 8 }, () => Math.random().toString(36).slice(2, 10)).join('');
}

/** Fills the empty repository with more than a hundred objects, so that git keeps them as a pack. @returns the commits' ids */
export async function fill(repository: TestRepository): Promise<string[]> {
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`many/${at}`, `content ${at}\n`]));
  return repository.commit(
    { ref: MAIN, tree: { ...many, a: 'a\n', 'd/large': noise(200_000) } },
    { ref: MAIN, parents: [0], tree: { ...many, a: 'A\n', 'd/large': noise(200_000) } },
    { ref: 'refs/heads/topic/one', parents: [0], tree: { a: 'b\n' } },
    { ref: 'refs/merge-requests/7/head', parents: [0], tree: { a: 'c\n', b: 'b\n' } },
    { ref: 'refs/tags/v1', parents: [0], tree: { tagged: 't\n' } },
  );
}

/** What jobs do with a clone of it. */
export async function work(clone: Clone): Promise<unknown> {
  const [base, head] = [await branchHead(clone, 'main'), await branchHead(clone, 'topic/one')];
  if (base === null || head === null) throw new Error('a branch is missing');
  const contents: string[] = [];
  const entries = treeEntries(clone, base) as AsyncIterable<{ id: string; sizeBytes: number }>;
  for await (const { content } of readBlobs(clone, entries, { limitBytes: 1e6 })) contents.push(String(content));
  return [base, head, await aheadBehind(clone, { base, head }), await trialMerge(clone, { base, head }), contents];
}

/** A process of its own that fetches that often, into clone 1, and then prints `done`. */
export function fetchingProcess({ storage, remote }: Project, times: number) {
  const args = [testProgram('git-fetching-process'), storage, remote.url, String(times)];
  return execa('node', args, { reject: false });
}

/** Lines of `ps` on what has to do with the project's server. */
export async function processesOf({ remote }: Project): Promise<string[]> {
  const { stdout } = await execa('ps', ['-ww', '-eo', 'pid=,command=']);
  return stdout.split('\n').filter((line) => line.includes(remote.url) && !line.includes(' ps '));
}
