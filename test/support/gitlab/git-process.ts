import { spawn } from 'node:child_process';

/** Nothing of this machine's own settings of git, and a name for whoever commits. */
export const GIT_ENVIRONMENT = {
  ...process.env,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.com',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.com',
  LC_ALL: 'C',
};

/** @returns what it wrote, without the last line break; undefined when git says no */
export async function tryGit(directory: string, args: string[], input?: string | Buffer): Promise<string | undefined> {
  const { code, out } = await run(directory, args, input);
  return code === 0 ? out.replace(/\n$/, '') : undefined;
}

/** @throws Error with git's own words */
export async function git(directory: string, args: string[], input?: string | Buffer): Promise<string> {
  const { code, out, error } = await run(directory, args, input);
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${error.trim()}`);
  return out.replace(/\n$/, '');
}

async function run(
  directory: string,
  args: string[],
  input: string | Buffer = '',
): Promise<{ code: number | null; out: string; error: string }> {
  const child = spawn('git', args, { cwd: directory, env: GIT_ENVIRONMENT });
  const [out, error] = [[] as Buffer[], [] as Buffer[]];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => error.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  return { code, out: String(Buffer.concat(out)), error: String(Buffer.concat(error)) };
}
