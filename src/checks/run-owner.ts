import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Says in a run's folder which process runs it. */
const OWNER_FILE = 'owner';

export async function writeOwner(folder: string): Promise<void> {
  const owner = [hostname(), process.pid, await startOf(process.pid)];
  await writeFile(join(folder, OWNER_FILE), owner.join('\n'), { mode: 0o600 });
}

/** Whether who ran it is gone for certain: a process of this machine, of which there may be another one by that number. */
export async function isOrphaned(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => '');
  const [host, pid = '', start] = text.split('\n');
  if (host !== hostname() || !/^[1-9]\d*$/.test(pid)) return false;
  return !isAlive(Number(pid)) || (await startOf(Number(pid))) !== start;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const START_TIME = 22; // of /proc/<pid>/stat, in ticks since the system started
const AFTER_NAME = 2; // which stands in parentheses, and may have any characters in it

/** When it was started, as a text to compare; empty where the system does not say. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME - AFTER_NAME - 1] ?? '';
}
