/** The largest artefact, in bytes: as much as an S3 store takes at once. */
export const ARTEFACT_LIMIT = 5 * 1024 ** 3;

export interface Used {
  key: string;
  sizeBytes: number;
  /** Epoch ms, fractions included. */
  lastUsedAt: number;
}

/**
 * What a cache has to lose so that the rest fits into the quota: the least recently used, oldest first, until it does and
 * not one more. Of those that were last used at the same time the first by key goes first, so that everyone who asks
 * comes to the same. One that is larger than the whole quota goes when its turn comes, with all that are older.
 * @param quotaBytes 0 for no limit
 */
export function planEviction<T extends Used>(cached: Iterable<T>, quotaBytes: number): T[] {
  if (quotaBytes === 0) return [];
  const oldestFirst = [...cached].sort(byLastUse);
  let excess = oldestFirst.reduce((sum, { sizeBytes }) => sum + sizeBytes, -quotaBytes);
  const evicted: T[] = [];
  for (const one of oldestFirst) {
    if (excess <= 0) break;
    excess -= one.sizeBytes;
    evicted.push(one);
  }
  return evicted;
}

function byLastUse(one: Used, other: Used): number {
  if (one.lastUsedAt !== other.lastUsedAt) return one.lastUsedAt - other.lastUsedAt;
  if (one.key === other.key) return 0;
  return one.key < other.key ? -1 : 1;
}
