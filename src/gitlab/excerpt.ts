import { type Answer, isJson } from './answer.ts';

const LONGEST = 200;

/**
 * GitLab's own words on what it did not like, from `message`, `error_description` or `error` of its answer.
 * @param secrets are blotted out, should GitLab repeat one
 * @returns one line of at most 200 characters; '' where the answer has none, as a page of HTML
 */
export function excerptOf(answer: Answer, secrets: readonly string[]): string {
  const body = parsed(answer);
  if (typeof body !== 'object' || body === null) return '';
  const { message, error, error_description: description } = body as Record<string, unknown>;
  return clean(words(message ?? description ?? error), secrets);
}

/** `{"base": ["Too many", "Bad"]}` → `base: Too many, Bad`; an attribute's name says what the words are about. */
function words(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(words).join(', ');
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, inner]) => (name === 'error' ? words(inner) : `${name}: ${words(inner)}`))
    .join('; ');
}

function clean(text: string, secrets: readonly string[]): string {
  const blotted = secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '[secret]')), text);
  // The text ends up in terminals.
  const line = blotted.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

function parsed(answer: Answer): unknown {
  try {
    return isJson(answer) ? (JSON.parse(answer.text) as unknown) : undefined;
  } catch {
    return undefined;
  }
}
