import { invalid } from './refusal.ts';

/** The most terms that a search has. */
export const SEARCH_TERMS_LIMIT = 10;
/** The longest query, in characters. */
export const SEARCH_QUERY_LIMIT = 500;

/** Something that a file is to hold, in its path or in one of its lines. */
export interface SearchTerm {
  /** As it was typed, without its quotes. */
  text: string;
  /** The text by {@link foldCase}; two terms of a search never have the same one. */
  folded: string;
}

/**
 * The terms of a search, every one of which has to match, in the order they were typed and each once. White space parts
 * them; "double quotes" around a term keep its white space, and within them `\"` and `\\` stand for `"` and `\`. A quote
 * further on in a term is a character as any other: `printf("%s` is one term.
 * @throws Refusal of a query that is empty, too long, or that no line of a text can match
 */
export function parseSearch(query: string): SearchTerm[] {
  if (query.length > SEARCH_QUERY_LIMIT) {
    throw invalid('terms', `they have ${query.length} characters; ${SEARCH_QUERY_LIMIT} at most`);
  }
  if (query.includes('\u0000')) throw invalid('terms', 'there is a NUL character, which no indexed text has');
  if (/\p{Surrogate}/u.test(query)) throw invalid('terms', 'there is half a character, which UTF-8 cannot carry');
  const terms = new Map<string, SearchTerm>();
  // By `y`, each match begins where the last one ended, and every character but white space begins one.
  for (const match of query.matchAll(/\s*(?:"((?:[^"\\]|\\.)*)("?)|([^\s"]\S*)|$)/gsy)) {
    const [, phrase, end, word] = match;
    if (phrase !== undefined && end === '') {
      throw invalid('terms', 'a quote is not closed; to search for a quote, write "\\""');
    }
    const text = phrase === undefined ? (word ?? '') : phrase.replace(/\\(["\\])/g, '$1');
    if (/[\r\n]/.test(text)) throw invalid('terms', 'a phrase goes over the end of a line, which none can match');
    // Quotes around nothing, or around white space, which nearly every line has, ask for nothing.
    if (text.trim() === '') continue;
    const folded = foldCase(text);
    if (!terms.has(folded)) terms.set(folded, { text, folded });
  }
  if (terms.size === 0) throw invalid('terms', 'they are empty; at least one is needed');
  if (terms.size > SEARCH_TERMS_LIMIT) {
    throw invalid('terms', `there are ${terms.size}; ${SEARCH_TERMS_LIMIT} at most`);
  }
  return [...terms.values()];
}

/**
 * A text in lower case, character by character as Postgres does it, so that it has the same length and every place in it
 * is the same place in the text. `toLowerCase` alone makes two of `İ`, and writes `Σ` differently at the end of a word.
 */
export function foldCase(text: string): string {
  const lower = /[\u0130\u03a3]/.test(text) ? text.replaceAll('\u0130', 'i').replaceAll('\u03a3', '\u03c3') : text;
  return lower.toLowerCase();
}
