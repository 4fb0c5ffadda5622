import { lstat, mkdir, open, realpath, symlink, unlink } from 'node:fs/promises';
import { sep } from 'node:path';

/** What is to lie at a path, as git has it. */
export interface CheckoutFile {
  path: Buffer;
  kind: 'file' | 'executable' | 'symlink';
  /** Of a symlink its target; null where it is too large to be read, and is left out. */
  content: Buffer | null;
}

export interface Checkout {
  files: number;
  bytes: number;
  /** What is left out: too large, or a symlink that leads out of the tree. In no order. */
  omitted: Buffer[];
}

/** A tree that cannot lie in a folder: a path in it is none, or two of them are one on this file system. */
export class CheckoutError extends Error {
  override readonly name = 'CheckoutError';
}

const IN_FLIGHT_FILES = 16;
const IN_FLIGHT_BYTES = 8 * 1024 * 1024;

/**
 * Writes the files of a tree into an empty folder: only them, byte by byte, with no filters, hooks or line endings of
 * git's. Nothing is written through a symlink, for they are made last. One that leads out of the tree is not made at all:
 * a check that follows it would look at what is not the repository's.
 * @throws CheckoutError, and what reading the files throws
 */
export async function writeCheckout(
  folder: string,
  files: AsyncIterable<CheckoutFile>,
  signal?: AbortSignal,
): Promise<Checkout> {
  const root = Buffer.from(await realpath(folder));
  const folders = new Set<string>();
  const links: { path: Buffer; at: Buffer; target: Buffer }[] = [];
  const checkout: Checkout = { files: 0, bytes: 0, omitted: [] };
  let writing: Promise<void>[] = [];
  let writingBytes = 0;
  const written = async (): Promise<void> => {
    const all = writing;
    [writing, writingBytes] = [[], 0];
    await Promise.all(all);
  };
  try {
    for await (const { path, kind, content } of files) {
      signal?.throwIfAborted();
      if (content === null) {
        checkout.omitted.push(path);
        continue;
      }
      const at = await placeFor(path, root, folders);
      if (kind === 'symlink') {
        links.push({ path, at, target: content });
        continue;
      }
      checkout.files += 1;
      checkout.bytes += content.length;
      writing.push(writeNew(at, content, kind === 'executable' ? 0o755 : 0o644));
      writing.at(-1)?.catch(() => undefined); // thrown below
      writingBytes += content.length;
      if (writing.length === IN_FLIGHT_FILES || writingBytes > IN_FLIGHT_BYTES) await written();
    }
  } finally {
    await written();
  }
  const made = [];
  for (const link of links) {
    if (leadsOut(link.path, link.target)) checkout.omitted.push(link.path);
    else {
      await unlessTaken(symlink(link.target, link.at));
      made.push(link);
    }
  }
  // One that looks harmless can lead out by way of another.
  for (const { path, at } of made) {
    const leads = await realpath(at, 'buffer').catch(() => root);
    if (leads.equals(root) || isWithin(leads, root)) continue;
    await unlink(at);
    checkout.omitted.push(path);
  }
  checkout.files += made.length;
  return checkout;
}

const SLASH = Buffer.from(sep);

/** Makes the folders above it. */
async function placeFor(path: Buffer, root: Buffer, folders: Set<string>): Promise<Buffer> {
  const segments = path.toString('latin1').split('/');
  if (segments.some(isWrong)) throw new CheckoutError(`the tree has a path that is none: ${shown(path)}`);
  let above = root;
  for (const segment of segments.slice(0, -1)) {
    above = Buffer.concat([above, SLASH, Buffer.from(segment, 'latin1')]);
    const name = above.toString('latin1');
    if (folders.has(name)) continue;
    await makeFolder(above, path);
    folders.add(name);
  }
  return Buffer.concat([above, SLASH, Buffer.from(segments.at(-1) ?? '', 'latin1')]);
}

/** `.git`, by whatever case, would be taken for a repository, with hooks and all. */
function isWrong(segment: string): boolean {
  return segment === '' || segment === '.' || segment === '..' || segment.toLowerCase() === '.git';
}

async function makeFolder(at: Buffer, path: Buffer): Promise<void> {
  try {
    await mkdir(at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // The same by another case, where that does not count.
    if (!(await lstat(at)).isDirectory()) throw twice(path);
  }
}

async function writeNew(at: Buffer, content: Buffer, mode: number): Promise<void> {
  const file = await unlessTaken(open(at, 'wx', mode));
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

async function unlessTaken<T>(making: Promise<T>): Promise<T> {
  try {
    return await making;
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'EISDIR') throw twice(Buffer.from(path ?? ''));
    throw error;
  }
}

function twice(path: Buffer): CheckoutError {
  return new CheckoutError(`the tree has two paths that are one on this file system: ${shown(path)}`);
}

/** As one may tell without looking: a path that is absolute, or goes up further than it stands deep. */
function leadsOut(path: Buffer, target: Buffer): boolean {
  const steps = target.toString('latin1').split('/');
  if (target.length === 0 || target.includes(0) || steps[0] === '') return true;
  let depth = path.toString('latin1').split('/').length - 1;
  for (const step of steps) {
    if (step === '..') depth -= 1;
    else if (step !== '.' && step !== '') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}

function isWithin(path: Buffer, root: Buffer): boolean {
  const start = Buffer.concat([root, SLASH]);
  return path.subarray(0, start.length).equals(start);
}

function shown(path: Buffer): string {
  return JSON.stringify(path.toString().slice(0, 200));
}
