import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';

/** Of /proc: what the kernel counts in. It is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** @throws Error where the system does not tell in the way that Linux does */
export function checkUsageIsTold(): void {
  if (!existsSync('/proc/self/stat'))
    throw new Error('this bench reads memory and CPU time of processes from /proc, which only Linux has');
}

/** Memory that a process holds now, in MiB. */
export function residentMiB(pid: number): number {
  const [, kiB] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kiB) / 1024;
}

/** CPU time that a process and all children of it that have ended took so far, in ms. */
export function cpuMs(pid: number): number {
  // After the name, which may hold anything, in parentheses: state is the third field, utime … cstime are 14 to 17.
  const fields = statOf(pid);
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return (1_000 * ticks) / TICKS_PER_SECOND;
}

/** The same for Postgres, which has a process for each connection. */
export function cpuMsWithChildren(pid: number): number {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((one) => one > 0 && parentOf(one) === pid);
  return [pid, ...children].reduce((sum, one) => sum + cpuMsOrNone(one), 0);
}

/** A SQLite file with what of it is still in its write-ahead log. */
export function databaseMiB(file: string): number {
  const sizes = [file, `${file}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0) / 1024 ** 2;
}

function statOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Processes come and go while they are looked through. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    return undefined;
  }
}

function cpuMsOrNone(pid: number): number {
  try {
    return cpuMs(pid);
  } catch {
    return 0;
  }
}
