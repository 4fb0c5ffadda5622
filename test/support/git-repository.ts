import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { GIT_ENVIRONMENT } from './gitlab/git-process.ts';

/** What a path holds. A string alone is a file with that content. */
export type Item =
  | string
  | Buffer
  | { mode: '100644' | '100755' | '120000'; content: string | Buffer }
  /** A submodule; its commit need not be anywhere. */
  | { mode: '160000'; commit: string };

export interface NewCommit {
  /** Full name of the ref that points to it afterwards. */
  ref: string;
  /** Earlier commits, by their position in what the repository was ever given, from 0 on. */
  parents?: readonly number[];
  /** All that is in its tree, by path; paths that are not UTF-8 are given as `latin1` text with `bytePaths`. */
  tree: Readonly<Record<string, Item>>;
  bytePaths?: boolean;
  message?: string;
}

/** A bare repository that a test fills, many commits at once. */
export interface TestRepository {
  readonly directory: string;
  /** @returns the ids of the new commits */
  commit(...commits: NewCommit[]): Promise<string[]>;
  git(...args: string[]): Promise<string>;
}

export const TEST_ENVIRONMENT = GIT_ENVIRONMENT;

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'forgeflow-git-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export async function createRepository(
  directory: string,
  { objectFormat = 'sha1' }: { objectFormat?: 'sha1' | 'sha256' } = {},
): Promise<TestRepository> {
  await mkdir(directory, { recursive: true });
  const git = async (...args: string[]): Promise<string> =>
    (await execa('git', args, { cwd: directory, env: TEST_ENVIRONMENT })).stdout;
  await git('init', '--quiet', '--bare', '--initial-branch=main', `--object-format=${objectFormat}`);
  const ids: string[] = [];
  return {
    directory,
    git,
    async commit(...commits) {
      const marks = join(directory, 'marks');
      const input = Buffer.concat(commits.flatMap((commit, index) => commitCommand(commit, ids, ids.length, index)));
      await execa('git', ['fast-import', '--quiet', '--force', `--export-marks=${marks}`], {
        cwd: directory,
        env: TEST_ENVIRONMENT,
        input,
      });
      const found = new Map(
        (await readFile(marks, 'utf8'))
          .trim()
          .split('\n')
          .map((line) => line.slice(1).split(' ') as [string, string]),
      );
      const made = commits.map((_, index) => found.get(String(ids.length + index + 1))!);
      ids.push(...made);
      return made;
    },
  };
}

type Bytes = Buffer<ArrayBuffer>;

function commitCommand(
  { ref, parents = [], tree, bytePaths = false, message = 'change' }: NewCommit,
  known: readonly string[],
  before: number,
  index: number,
): Bytes[] {
  const number = before + index;
  const who = `Ada <ada@example.com> ${1_700_000_000 + number} +0000\n`;
  const parts = [Buffer.from(`reset ${ref}\ncommit ${ref}\nmark :${number + 1}\n`)];
  parts.push(Buffer.from(`author ${who}committer ${who}`), data(message));
  for (const [at, parent] of parents.entries()) {
    const name = parent < before ? known[parent]! : `:${parent + 1}`;
    parts.push(Buffer.from(`${at === 0 ? 'from' : 'merge'} ${name}\n`));
  }
  parts.push(Buffer.from('deleteall\n'));
  for (const [path, item] of Object.entries(tree)) {
    const name = quoted(Buffer.from(path, bytePaths ? 'latin1' : 'utf8'));
    if (typeof item === 'object' && 'commit' in item) {
      parts.push(Buffer.from(`M 160000 ${item.commit} ${name}\n`));
    } else {
      const [mode, content] =
        typeof item === 'string' || Buffer.isBuffer(item) ? ['100644', item] : [item.mode, item.content];
      parts.push(Buffer.from(`M ${mode} inline ${name}\n`), data(content));
    }
  }
  parts.push(Buffer.from('\n'));
  return parts;
}

function data(content: string | Buffer): Bytes {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n')]);
}

/** As fast-import wants it: every byte that is not plain as an octal number. */
function quoted(path: Bytes): string {
  const characters = [...path].map((byte) =>
    /[\w./~ -]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `"${characters.join('')}"`;
}
