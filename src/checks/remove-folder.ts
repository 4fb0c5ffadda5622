import { rm } from 'node:fs/promises';
import { execa } from 'execa';

/**
 * Takes a folder away with whatever a check has left in it: also folders that nobody may enter any more, and such as lie
 * deeper than a path can say.
 * @throws Error where that cannot be
 */
export async function removeFolder(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await execa('chmod', ['-R', 'u+rwX', '--', path], { reject: false, stdio: 'ignore' });
    await execa('rm', ['-rf', '--', path], { stdio: 'ignore' });
  }
}
