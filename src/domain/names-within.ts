/** The server refuses search attributes with values above 2 KiB. */
const MOST_INDEXED_BYTES = 1_500;

/** The subscriptions that a batch is found by. */
export function searchable(names: string[]): string[] {
  return namesWithin(MOST_INDEXED_BYTES, names);
}

/** The first of them, as many as have so many bytes together, one at least. */
export function namesWithin(bytes: number, names: string[]): string[] {
  let left = bytes;
  return names.filter((name, at) => (left -= Buffer.byteLength(name)) >= 0 || at === 0);
}
