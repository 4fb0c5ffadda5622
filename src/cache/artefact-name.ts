const LONGEST_NAME = 240;
const PLAIN = /^[a-z0-9_-]$|^\.$/;

/** What is wrong with the key of an artefact, as a sentence without its subject; null where nothing is. */
export function keyProblem(key: string): string | null {
  if (key === '') return 'is empty';
  if (/\p{Surrogate}/u.test(key)) return 'is no text';
  return nameOf(key).length <= LONGEST_NAME ? null : `is too long: more than ${LONGEST_NAME} bytes as a name`;
}

/**
 * The name of a file or an object for a key: one for each, also where upper and lower case are the same, that leads
 * nowhere, begins with no full stop and stands in a URL as it is. What is not plain counts three characters a byte.
 */
export function nameOf(key: string): string {
  let name = '';
  for (const byte of Buffer.from(key)) {
    const character = String.fromCharCode(byte);
    const isPlain = PLAIN.test(character) && !(character === '.' && name === '');
    name += isPlain ? character : `~${byte.toString(16).padStart(2, '0')}`;
  }
  return name;
}

/** The key that has that name; null where none has. */
export function keyOf(name: string): string | null {
  if (!/^(?:[a-z0-9._-]|~[0-9a-f]{2})+$/.test(name)) return null;
  const bytes = name.replace(/~(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const key = Buffer.from(bytes, 'latin1').toString();
  return nameOf(key) === name ? key : null;
}
