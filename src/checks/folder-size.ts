import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

const BLOCK_BYTES = 512; // of stat(2), whatever the file system's are

/** What a folder and all in it take on disk, in bytes, as far as it can be looked at: a check may be at work in it. */
export async function folderSize(path: string): Promise<number> {
  let bytes = 0;
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of await opendir(folder)) {
        const inner = join(folder, entry.name);
        if (entry.isDirectory()) folders.push(inner);
        bytes += (await lstat(inner)).blocks * BLOCK_BYTES;
      }
    } catch {
      // It is gone by now, or forbidden.
    }
  }
  return bytes;
}
