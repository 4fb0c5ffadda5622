import { execa } from 'execa';

/** Processes of ours that run after the end: those we started, and any that have our folder in their command line. */
export async function findLeftovers(pids: number[], home: string): Promise<string[]> {
  const { stdout } = await execa('ps', ['-ww', '-A', '-o', 'pid=,ppid=,command=']);
  return stdout.split('\n').filter((line) => {
    const [, pid = '', parent = ''] = /^\s*(\d+)\s+(\d+)/.exec(line) ?? [];
    // A pid may have gone to somebody else's process since; a child of ours it can only be when it is one that was left.
    const isChild = pids.includes(Number(pid)) && Number(parent) === process.pid;
    return isChild || line.includes(home);
  });
}
