import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const BLOCK_BYTES = 512; // of stat(2), whatever the file system's are

/** What a folder and all in it take on disk, in bytes; 0 where it is not there. What vanishes meanwhile counts nothing. */
export async function diskUsage(path: string): Promise<number> {
  try {
    const stats = await lstat(path);
    let bytes = stats.blocks * BLOCK_BYTES;
    if (!stats.isDirectory()) return bytes;
    for (const name of await readdir(path)) bytes += await diskUsage(join(path, name));
    return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
