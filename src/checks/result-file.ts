import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

export type ResultFile = { content: string } | { problem: 'missing' | 'too_large' | 'no_file' };

/** What the check has left there, be it what it may: a link is not followed, a pipe not waited for. */
export async function readResultFile(path: string, limitBytes: number): Promise<ResultFile> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return { problem: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'no_file' };
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return { problem: 'no_file' };
    if (stats.size > limitBytes) return { problem: 'too_large' };
    return { content: await file.readFile('utf8') };
  } finally {
    await file.close();
  }
}
