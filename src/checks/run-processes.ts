import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** Marks all processes of one run; see `launch`. */
export const MARKER_VARIABLE = 'FORGEFLOW_CHECK_RUN';

export interface RunProcess {
  pid: number;
  /** Memory of its own, without what it has of files. */
  memoryBytes: number;
}

export interface Scan {
  found: RunProcess[];
  /** Whether none can have been overlooked because it was born while we looked. */
  isCertain: boolean;
}

/**
 * The processes of a run, also those that have left its process group and its session, changed their names and been
 * taken on by another parent. Every process inherits the marker twice: in its environment, and as its hard limit of
 * processor time, a number of seconds that no process reaches. It takes one that gets rid of both to be overlooked.
 */
export async function processesOf(marker: string): Promise<RunProcess[]> {
  return (await scan(marker)).found;
}

const KILL_WITHIN_MS = 20_000;
const EMPTY_SCANS = 3;
// At most, where others on this machine never stop making processes.
const ROUNDS = 50;

/**
 * Ends what is left of a run, and comes back when nothing is.
 * @throws Error where something does not go although it was killed
 */
export async function endProcessesOf(marker: string): Promise<void> {
  const giveUpAt = Date.now() + KILL_WITHIN_MS;
  for (let empty = 0; ;) {
    const { found, isCertain } = await scan(marker);
    if (found.length === 0 && (isCertain || ++empty === EMPTY_SCANS)) return;
    if (found.length === 0) continue;
    empty = 0;
    if (Date.now() > giveUpAt) throw new Error(`${found.length} processes of a check could not be ended`);
    await stopAll(marker, found);
    for (const { pid } of await processesOf(marker)) signal(pid, 'SIGKILL');
    await sleep(10); // they take a moment to go
  }
}

/** Nobody who is stopped makes more of himself. Without it, two that bring each other up again would outrun us. */
async function stopAll(marker: string, found: readonly RunProcess[]): Promise<void> {
  const stopped = new Set<number>();
  let running = found;
  for (let round = 0; running.length > 0 && round < ROUNDS; round++) {
    for (const { pid } of running) {
      signal(pid, 'SIGSTOP');
      stopped.add(pid);
    }
    running = (await processesOf(marker)).filter(({ pid }) => !stopped.has(pid));
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone.
  }
}

async function scan(marker: string): Promise<Scan> {
  return process.platform === 'linux' ? scanProc(marker) : scanByPs(marker);
}

async function scanProc(marker: string): Promise<Scan> {
  const seen = new Set<string>();
  const found: RunProcess[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && !seen.has(name));
    // Whoever was gone before we came to look may have left children; they are new, and so are theirs.
    if (pids.length === 0) return { found, isCertain: true };
    for (const pid of pids) seen.add(pid);
    found.push(...(await Promise.all(pids.map((pid) => lookAt(pid, marker)))).flat());
  }
  return { found, isCertain: false };
}

async function lookAt(pid: string, marker: string): Promise<RunProcess[]> {
  const limits = (await read(`/proc/${pid}/limits`)) ?? '';
  if (hardCpuLimit(limits) !== marker && !(await environmentHas(pid, marker))) return [];
  const status = (await read(`/proc/${pid}/status`)) ?? '';
  return /^State:\t[^ZX]/m.test(status) ? [{ pid: Number(pid), memoryBytes: memoryOf(status) }] : [];
}

function hardCpuLimit(limits: string): string | undefined {
  return /^Max cpu time +\S+ +(\S+)/m.exec(limits)?.[1];
}

async function environmentHas(pid: string, marker: string): Promise<boolean> {
  const environment = await read(`/proc/${pid}/environ`);
  return environment?.split('\0').includes(`${MARKER_VARIABLE}=${marker}`) ?? false;
}

function memoryOf(status: string): number {
  let kib = 0;
  for (const [, value] of status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)) kib += Number(value);
  return kib * 1024;
}

/** Null where the process is gone, or not ours to look at. */
async function read(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'latin1');
  } catch {
    return null;
  }
}

/** Where there is no /proc: macOS, whose ps shows the environment of our own processes. */
export async function scanByPs(marker: string): Promise<Scan> {
  const { stdout } = await execa('ps', ['axeww', '-o', 'pid=,rss=,state=,command='], {
    reject: false,
    maxBuffer: 64 * 1024 * 1024,
  });
  const found: RunProcess[] = [];
  for (const line of stdout.split('\n')) {
    const [, pid = '', kib = '', state = ''] = /^ *(\d+) +(\d+) +(\S+)/.exec(line) ?? [];
    const isOurs = ` ${line} `.includes(` ${MARKER_VARIABLE}=${marker} `);
    if (isOurs && !state.startsWith('Z')) found.push({ pid: Number(pid), memoryBytes: Number(kib) * 1024 });
  }
  return { found, isCertain: true };
}
