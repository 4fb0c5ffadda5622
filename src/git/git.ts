import { tmpdir } from 'node:os';
import { GitError } from './git-error.ts';
import { runGit } from './run.ts';

/** The git program, as this process uses it. */
export interface Git {
  readonly program: string;
  /** `PATH` for it and its helpers. */
  readonly path: string;
  readonly temporaryDirectory: string;
  /** File of the certificates that are trusted, where those of the system will not do. */
  readonly caFile: string | undefined;
}

export interface GitOptions {
  program?: string;
  /** Where programs are found: git, its helpers, sh and flock. */
  path?: string | undefined;
  temporaryDirectory?: string;
  caFile?: string | undefined;
}

const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin';
// The first with `git merge-tree --write-tree`.
const LEAST_VERSION: readonly [number, number] = [2, 38];

/** Not looked at: what only needs the place of programs can be done without git. */
export function gitAt({ program = 'git', path = USUAL_PATH, ...rest }: GitOptions = {}): Git {
  return { program, path, temporaryDirectory: rest.temporaryDirectory ?? tmpdir(), caFile: rest.caFile };
}

/** @throws GitError `failed` where git is missing or too old, with what is wrong */
export async function createGit(options: GitOptions = {}): Promise<Git> {
  const git = gitAt(options);
  const { stdout } = await runGit(git, { args: ['version'], timeoutMs: 30_000 });
  const found = /(\d+)\.(\d+)[\w.]*/.exec(stdout.toString());
  const [least, minor] = LEAST_VERSION;
  const isEnough =
    found !== null && (Number(found[1]) > least || (Number(found[1]) === least && Number(found[2]) >= minor));
  if (!isEnough)
    throw new GitError(
      'failed',
      `git ${least}.${minor} or newer is needed; this is ${found?.[0] ?? 'another program'}`,
    );
  return git;
}
