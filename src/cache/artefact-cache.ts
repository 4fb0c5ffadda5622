import type { Readable } from 'node:stream';

export interface Artefact {
  key: string;
  sizeBytes: number;
  /** When it was put or last got: epoch ms, with fractions, so that two uses are hardly ever at the same time. */
  lastUsedAt: number;
}

/** Whoever does not read the content to its end destroys it. */
export interface FoundArtefact {
  sizeBytes: number;
  content: Readable;
}

export interface NewArtefact {
  /** As `keyProblem` allows it. */
  key: string;
  /** Exactly as much as the content has. */
  sizeBytes: number;
  content: Buffer | AsyncIterable<Uint8Array>;
}

/** Where the artefacts of repositories are kept. Any number of processes may use one at the same time. */
export interface ArtefactCache {
  /**
   * Takes the place of what is there under that key. Nobody ever sees a part of it.
   * @throws CacheError, and what reading the content throws; then what was there before is still there
   */
  put(repositoryId: number, artefact: NewArtefact, signal?: AbortSignal): Promise<void>;
  /** Counts as a use. Null where there is none. @throws CacheError */
  get(repositoryId: number, key: string, signal?: AbortSignal): Promise<FoundArtefact | null>;
  /** Without its content, which is no use of it. Null where there is none. @throws CacheError */
  find(repositoryId: number, key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | null>;
  /**
   * Takes one away; nothing happens where there is none.
   * @param unusedSince leaves it where it was used later than that: for an eviction, whose list is never quite new
   * @returns whether it is gone
   * @throws CacheError
   */
  delete(repositoryId: number, key: string, unusedSince?: number, signal?: AbortSignal): Promise<boolean>;
  /** All of a repository, in no order. @throws CacheError */
  list(repositoryId: number, signal?: AbortSignal): Promise<Artefact[]>;
  /** Takes away all that there is of a repository. @throws CacheError */
  purge(repositoryId: number, signal?: AbortSignal): Promise<void>;
}

/** The cache cannot do it. The message is one sentence, free of credentials. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
}
