import { catFile, type Question } from './cat-file.ts';
import type { Clone } from './clone.ts';
import { GitError } from './git-error.ts';

export interface SizedBlob {
  /** Of a blob, so of no submodule. */
  id: string;
  sizeBytes: number;
}

export interface Blob<T> {
  wanted: T;
  /** Null where it is larger than the limit: it was not read. */
  content: Buffer | null;
}

type Many<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Reads many blobs, in the order in which they are wanted, one in memory at a time. What is wanted is asked for ahead,
 * so it must not wait for what this gives.
 * @throws GitError `corrupt` where one is not there, or is larger than was said
 */
export async function* readBlobs<T extends SizedBlob>(
  clone: Clone,
  wanted: Many<T>,
  { limitBytes }: { limitBytes: number },
): AsyncGenerator<Blob<T>> {
  const questions = each(wanted, (one) => (one.sizeBytes <= limitBytes ? one.id : null));
  for await (const { about, content } of catFile(clone, questions, 'contents')) yield { wanted: about, content };
}

/** Adds what git knows of the sizes of many blobs; see `readBlobs`. @throws GitError `corrupt` where one is not there */
export async function* withSizes<T extends { id: string }>(
  clone: Clone,
  wanted: Many<T>,
): AsyncGenerator<T & { sizeBytes: number }> {
  const questions = each(wanted, ({ id }) => id);
  for await (const { about, sizeBytes } of catFile(clone, questions, 'sizes')) {
    if (sizeBytes === null) throw new GitError('failed', 'git cat-file: it gave no size');
    yield { ...about, sizeBytes };
  }
}

async function* each<T>(wanted: Many<T>, idOf: (one: T) => string | null): AsyncGenerator<Question<T>> {
  for await (const about of wanted) yield { about, id: idOf(about) };
}
