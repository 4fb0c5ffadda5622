import { CONNECTION_WORDS } from '../domain/connection-words.ts';

/** Why GitLab did not answer, in a few words made from codes alone: messages of errors can carry more than may be shown. */
export function connectionWords(error: unknown): string {
  const codes = codesOf(error);
  return (
    codes.map((code) => CONNECTION_WORDS[code]).find((words) => words !== undefined) ?? codes[0] ?? 'request failed'
  );
}

/** Of the error, its causes, and what an AggregateError gathered (several addresses are tried). */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) return [];
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...own, ...[...inner, error.cause].flatMap((cause) => codesOf(cause, depth + 1))];
}
