import { readFileSync } from 'node:fs';
import { execa } from 'execa';

export interface StaleServer {
  pid: number;
  /** Words of its command line: the number may have gone to another process since it was written down. */
  itsArguments: string[];
  /** Sent in turn, 5 s apart, until it has ended. */
  signals: NodeJS.Signals[];
}

/** Ends a server whose parent was killed, so that a new one can work on the same data. */
export async function stopStaleServer({ pid, itsArguments, signals }: StaleServer): Promise<void> {
  const isIt = async (): Promise<boolean> => {
    const line = await commandLine(pid);
    return itsArguments.every((word) => line.includes(word));
  };
  for (const signal of signals) {
    if (!(await isIt())) return;
    try {
      process.kill(pid, signal);
    } catch {
      return; // it ended meanwhile, or belongs to somebody else: then the new one says what is in its way
    }
    for (let waitedMs = 0; waitedMs < 5_000 && (await isIt()); waitedMs += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Empty where there is no such process. */
async function commandLine(pid: number): Promise<string> {
  if (!Number.isInteger(pid) || pid <= 1) return '';
  if (process.platform !== 'linux') {
    return (await execa('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { reject: false })).stdout;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
