import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { CodeFile } from './code-text.ts';

/** A bare repository with one commit, and some after it of which each touches a few files. */
export interface CodeRepository {
  directory: string;
  /** The first has all of the code. */
  commits: string[];
  files: number;
  /** Of all contents. */
  bytes: number;
}

const MAIN = 'refs/heads/main';
const WHO = 'committer Ada <ada@example.com> 1700000000 +0000\n';
const ENVIRONMENT = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };

export async function makeRepository(
  directory: string,
  code: Iterable<CodeFile>,
  { touched, commits }: { touched: number; commits: number },
): Promise<CodeRepository> {
  mkdirSync(directory, { recursive: true });
  const git = async (...args: string[]): Promise<string> =>
    (await execa('git', args, { cwd: directory, env: ENVIRONMENT })).stdout;
  await git('init', '--quiet', '--bare', '--initial-branch=main');
  const importing = execa('git', ['fast-import', '--quiet', '--depth=0'], { cwd: directory, env: ENVIRONMENT });
  const write = async (part: string | Buffer): Promise<void> => {
    if (!importing.stdin.write(part)) await once(importing.stdin, 'drain');
  };
  const put = async ({ path, content }: CodeFile): Promise<void> => {
    const bytes = Buffer.from(content as string);
    await write(`M 100644 inline ${JSON.stringify(path)}\ndata ${bytes.length}\n`);
    await write(bytes);
    await write('\n');
  };

  const changed: CodeFile[] = [];
  let files = 0;
  let bytes = 0;
  await write(`commit ${MAIN}\nmark :1\n${WHO}data 5\nfirst\n`);
  for (const file of code) {
    await put(file);
    files += 1;
    bytes += Buffer.byteLength(file.content);
    if (changed.length < touched && typeof file.content === 'string' && files % 37 === 0) changed.push(file);
  }
  for (let commit = 1; commit <= commits; commit += 1) {
    await write(`commit ${MAIN}\nmark :${commit + 1}\n${WHO}data 4\nnext\nfrom :${commit}\n`);
    for (const [at, { path, content }] of changed.entries())
      await put({
        path,
        content: `${String(content)}// one more line, with a name of its own: touched${at}in${commit}\n`,
      });
  }
  importing.stdin.end('done\n');
  await importing;
  // As a clone has it.
  await git('repack', '-a', '-d', '-q');
  return { directory, commits: (await git('rev-list', '--reverse', MAIN)).split('\n'), files, bytes };
}

/** Text files of the packages that this project needs: code that people wrote. @param most how many */
export function* installedCode(folder: string, most: number): Generator<CodeFile> {
  let files = 0;
  const open = [''];
  for (let at = open.pop(); at !== undefined && files < most; at = open.pop()) {
    const entries = readdirSync(join(folder, at), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? 1 : -1));
    for (const entry of entries) {
      const path = at === '' ? entry.name : `${at}/${entry.name}`;
      if (entry.isDirectory() && entry.name !== '.cache') open.push(path);
      else if (entry.isFile() && files < most && /\.(?:[cm]?[jt]sx?|json|md|css|ya?ml)$/.test(entry.name)) {
        if (statSync(join(folder, path)).size > 2_000_000) continue;
        files += 1;
        yield { path, content: readFileSync(join(folder, path), 'utf8') };
      }
    }
  }
}
