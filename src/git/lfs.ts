/** What a pointer of Git LFS stands for; the content itself is not in the repository. */
export interface LfsPointer {
  /** SHA-256 of the content, hexadecimal. */
  oid: string;
  sizeBytes: number;
}

// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: at most 1024 bytes, the version first, then sorted keys.
const LONGEST_POINTER_BYTES = 1024;
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n?$/;

/** Null where a file's content is no pointer, but what it is. */
export function lfsPointer(content: Buffer): LfsPointer | null {
  if (content.length > LONGEST_POINTER_BYTES) return null;
  const [, oid, size] = POINTER.exec(content.toString('latin1')) ?? [];
  return oid === undefined || size === undefined ? null : { oid, sizeBytes: Number(size) };
}
