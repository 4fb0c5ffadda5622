import { SECRET_NAME, SECRET_NAME_PROBLEM } from './manifest-schema.ts';
import { invalid } from './refusal.ts';

/** The shortest text that is taken out of what checks print: a shorter one would be found in any text. */
export const LEAST_CONCEALED = 4;
/** So that it is taken out whole where the last that a check printed begins within it; see `judge`. */
const LARGEST_BYTES = 48 * 1024;
/** Each is taken out for itself. */
const MOST_LINES = 1_000;

/** @throws Refusal of a name that no manifest could mention */
export function checkSecretName(name: string): string {
  if (!SECRET_NAME.test(name)) throw invalid('name', `${SECRET_NAME_PROBLEM}, 64 at most, and not by a digit first`);
  return name;
}

/** @throws Refusal of what could not be concealed; it does not repeat the value */
export function checkSecretValue(value: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes > LARGEST_BYTES) throw invalid('value', `it is ${bytes} bytes long; ${LARGEST_BYTES} (48 KiB) at most`);
  if (value.trim().length < LEAST_CONCEALED)
    throw invalid(
      'value',
      `it has fewer than ${LEAST_CONCEALED} characters, too few to be concealed in what checks print`,
    );
  if (value.split('\n').length > MOST_LINES) throw invalid('value', `it has more than ${MOST_LINES} lines`);
  if (Buffer.from(value).toString() !== value) throw invalid('value', 'it is not text in UTF-8');
  return value;
}
