import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { resolve } from 'node:path';
import { startChild } from './child.ts';
import { type Confinement, launchOf, type LaunchPad } from './launch.ts';
import { removeFolder } from './remove-folder.ts';
import { makeRunFolder } from './run-folder.ts';
import { endProcessesOf } from './run-processes.ts';

/** The machine, as checks are run on it. */
export interface CheckHost extends LaunchPad {
  /** Whether a limit of processes counts those of one check, not all of our user's. */
  readonly countsProcesses: boolean;
}

export interface CheckHostOptions {
  /** For checks alone; made where it is missing. */
  root: string;
  path?: string | undefined;
  /** Folders and files with secrets in them: the storage directory, our own home. The folder of the checks always is hidden. */
  hidden?: readonly string[];
  /** `none` to do without in any case. */
  confinement?: Confinement | undefined;
}

const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin';

/** Finds out what the system lets us do. @throws Error where the folder cannot be made */
export async function createCheckHost({ root, path = USUAL_PATH, ...rest }: CheckHostOptions): Promise<CheckHost> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const common = { root: await realpath(root), path, hidden: (rest.hidden ?? []).map((folder) => resolve(folder)) };
  const confinement = rest.confinement ?? ((await canConfine(common)) ? 'namespaces' : 'none');
  return { ...common, confinement, countsProcesses: confinement === 'namespaces' && kernelIsAtLeast(5, 14) };
}

const PROBE = { outputBytes: 64 * 1024, graceMs: 1_000, onFlood: () => undefined };
const PROBE_TIMEOUT_MS = 30_000;

/** Tried with the very commands that checks are run by: distributions and container runtimes forbid different parts of it. */
async function canConfine(pad: Omit<LaunchPad, 'confinement'>): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const { marker, places } = await makeRunFolder(pad.root);
  try {
    await writeFile(places.start, 'exit 0\n');
    const child = startChild(launchOf({ ...pad, confinement: 'namespaces' }, { places, marker, argv: [] }), PROBE);
    const timer = setTimeout(child.end, PROBE_TIMEOUT_MS);
    await child.exited;
    clearTimeout(timer);
    await endProcessesOf(marker);
    return (await child.ending()).exitCode === 0;
  } finally {
    await removeFolder(places.folder);
  }
}

function kernelIsAtLeast(major: number, minor: number): boolean {
  const [first = 0, second = 0] = release().split('.').map(Number);
  return first > major || (first === major && second >= minor);
}
