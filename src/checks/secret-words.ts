import { LEAST_CONCEALED } from '../domain/stored-secret.ts';

/**
 * Takes secrets out of texts: whole, and line by line, since that is how keys and lists of passwords get printed. Also as
 * JSON and URLs write them, and the whole in base64, as a header would.
 */
export function concealer(secrets: Iterable<string | Buffer>): (text: string) => string {
  const words = new Set<string>();
  for (const secret of secrets) {
    const text = Buffer.from(secret as string).toString();
    const lines = [text, ...text.split('\n')]
      .map((line) => line.trim())
      .filter((line) => line.length >= LEAST_CONCEALED);
    for (const line of lines) for (const word of [line, inJson(line), inUrl(line)]) words.add(word);
    for (const whole of [text, text.trim()]) if (lines.length > 0) words.add(inBase64(whole));
  }
  // The longest first, so that nothing is left of one that another one is a part of.
  const ordered = [...words].sort((one, other) => other.length - one.length);
  return (text) => ordered.reduce((clean, word) => clean.replaceAll(word, '***'), text);
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function inUrl(text: string): string {
  return encodeURIComponent(text);
}

function inBase64(text: string): string {
  return Buffer.from(text).toString('base64').replace(/=+$/, '');
}
