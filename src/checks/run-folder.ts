import { randomInt } from 'node:crypto';
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type RunPlaces, placesIn } from './launch.ts';
import { removeFolder } from './remove-folder.ts';
import { isOrphaned, writeOwner } from './run-owner.ts';
import { endProcessesOf } from './run-processes.ts';

export interface RunFolder {
  /** Names the run; see `processesOf`. */
  marker: string;
  places: RunPlaces;
}

// Seconds of processor time that nobody comes near, 34 years and more, and still a number to every system.
const [LEAST_MARKER, MOST_MARKER] = [2 ** 30, 2 ** 31 - 1];

/** Makes the folder of one run, under a name that nobody has. */
export async function makeRunFolder(root: string): Promise<RunFolder> {
  for (;;) {
    const marker = String(randomInt(LEAST_MARKER, MOST_MARKER));
    const places = placesIn(join(root, marker));
    try {
      await mkdir(places.folder, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    for (const folder of [places.checkout, places.home, places.temporary, places.secrets, join(places.result, '..')]) {
      await mkdir(folder, { mode: 0o700 });
    }
    await writeOwner(places.folder);
    return { marker, places };
  }
}

export async function writeSecrets(
  places: RunPlaces,
  secrets: Readonly<Record<string, string | Buffer>>,
): Promise<void> {
  for (const [name, content] of Object.entries(secrets)) {
    await writeFile(join(places.secrets, name), content, { mode: 0o600, flag: 'wx' });
  }
}

/** @param files by their paths within the home folder */
export async function writeHomeFiles(
  { home }: RunPlaces,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const at = join(home, path);
    await mkdir(dirname(at), { recursive: true, mode: 0o700 });
    await writeFile(at, content, { mode: 0o600, flag: 'wx' });
  }
}

/** A run that goes on gives a sign of life several times a second. */
const DEAD_AFTER_MS = 15 * 60_000;

/**
 * Takes away what workers that were killed have left of their checks: their folders, and processes that got away from
 * what would have ended them. At once where the worker was one of this machine, else when there was no sign of life for long.
 * @returns how many runs that were
 */
export async function sweepCheckRuns(root: string, { deadAfterMs = DEAD_AFTER_MS } = {}): Promise<number> {
  let swept = 0;
  for (const name of await readdir(root).catch(() => [])) {
    const folder = join(root, name);
    const stats = await lstat(folder).catch(() => null);
    if (stats === null || !/^\d+$/.test(name)) continue;
    if (Date.now() - stats.mtimeMs < deadAfterMs && !(await isOrphaned(folder))) continue;
    await endProcessesOf(name);
    await removeFolder(folder);
    swept += 1;
  }
  return swept;
}
