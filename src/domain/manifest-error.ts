/** The name of the file in a repository. */
export const MANIFEST_FILE = '.forgeflow.yaml';

export interface ManifestFault {
  /** Counted from 1. */
  line: number;
  /** Counted from 1, in characters. */
  column: number;
  /** The key at fault, in full (`checks[0].plugin`); null where the file as a whole is. */
  key: string | null;
  problem: string;
  /** The file, where it is another one than the manifest. */
  file?: string;
}

/** A manifest, or another YAML file of ours, that cannot be used: one sentence that says where, names the key, and says what is wrong with it. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly line: number;
  readonly column: number;
  readonly key: string | null;

  constructor({ line, column, key, problem, file = MANIFEST_FILE }: ManifestFault) {
    const subject = key === null ? '' : `${key}: `;
    super(`${file}, line ${line}, column ${column}: ${subject}${problem}`);
    this.line = line;
    this.column = column;
    this.key = key;
  }
}

/** A key by its path, as people write it: `checks[0].env.CI`. Of what a stranger wrote only so much as can be shown. */
export function keyOf(path: readonly PropertyKey[]): string | null {
  if (path.length === 0) return null;
  let key = '';
  for (const part of path) {
    if (typeof part === 'number') key += `[${part}]`;
    else key += `${key === '' ? '' : '.'}${shown(String(part))}`;
  }
  return key;
}

/** A stranger's words for a sentence of ours: short, and without the control characters that a terminal would obey. */
export function shown(text: string): string {
  const cut = text.length > 64 ? `${text.slice(0, 63).replace(/[\ud800-\udbff]$/, '')}…` : text;
  return cut.replace(/\p{Cc}/gu, '\ufffd');
}
