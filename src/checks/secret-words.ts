/** Shorter ones would be found in any text. */
const LEAST_LENGTH = 4;

/** Takes secrets out of texts: whole, and line by line, since that is how keys and lists of passwords get printed. */
export function concealer(secrets: Iterable<string | Buffer>): (text: string) => string {
  const words = new Set<string>();
  for (const secret of secrets) {
    const text = secret.toString();
    for (const word of [text, ...text.split('\n')]) if (word.trim().length >= LEAST_LENGTH) words.add(word.trim());
  }
  // The longest first, so that nothing is left of one that another one is a part of.
  const ordered = [...words].sort((one, other) => other.length - one.length);
  return (text) => ordered.reduce((clean, word) => clean.replaceAll(word, '***'), text);
}
