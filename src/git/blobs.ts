import { catFew, catFile, type Question } from './cat-file.ts';
import type { Clone } from './clone.ts';

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
  for await (const { about, content } of catFile(clone, questions)) yield { wanted: about, content };
}

/** Few enough for their ids to be held by git and us at once. */
const FEW = 1_000;

/**
 * The same for blobs whose sizes are not known.
 * @throws GitError `corrupt` where one is not there
 */
export async function* readUnsized<T extends { id: string }>(
  clone: Clone,
  wanted: readonly T[],
  { limitBytes }: { limitBytes: number },
): AsyncGenerator<Blob<T>> {
  for (let at = 0; at < wanted.length; at += FEW) {
    const questions = wanted.slice(at, at + FEW).map((about) => ({ about, id: about.id }));
    for await (const { about, content } of catFew(clone, questions, limitBytes)) yield { wanted: about, content };
  }
}

async function* each<T>(wanted: Many<T>, idOf: (one: T) => string | null): AsyncGenerator<Question<T>> {
  for await (const about of wanted) yield { about, id: idOf(about) };
}
