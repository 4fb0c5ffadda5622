import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Beside the clone's folder: a clone in the making, and one that is being replaced. */
export const PARTIAL = '.partial-';
export const OLD = '.old-';

/** A link counts as what it is. */
export async function existsAt(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Takes away what a fetch that was killed has left: beside the clone what was not complete, inside it git's lock files,
 * which would keep the next fetch out, halves of packs, and marks that would keep packs for ever.
 * For whoever holds the clone's lock: all that writes into the clone does, so that none of it can belong to anyone.
 */
export async function removeLeftovers(directory: string): Promise<void> {
  const [folder, name] = [dirname(directory), basename(directory)];
  for (const sibling of await namesIn(folder)) {
    if (sibling.startsWith(name + PARTIAL) || sibling.startsWith(name + OLD)) await remove(join(folder, sibling));
  }
  const packs = join(directory, 'objects', 'pack');
  for (const file of await namesIn(packs)) {
    if (file.startsWith('tmp_') || file.endsWith('.keep')) await remove(join(packs, file));
  }
  await removeLocks(directory, 'objects');
  await removeLocks(join(directory, 'objects', 'info'));
}

async function removeLocks(folder: string, except?: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== except) await removeLocks(path);
    else if (entry.isFile() && entry.name.endsWith('.lock')) await remove(path);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
