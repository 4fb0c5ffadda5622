import { searchCode } from '../database/search-query.ts';
import { invalid } from '../domain/refusal.ts';
import { parseSearch } from '../domain/search-terms.ts';
import type { ClientContext } from './context.ts';
import { requireTracked } from './tracked-repository.ts';

export interface SearchOptions {
  /** Path of the one to search, `group/project`; all that are tracked when left out. */
  repository?: string | undefined;
  /** How many results at most; 20 when left out, 100 at most. */
  limit?: number | undefined;
}

/** A file in which all terms are found, and its best line. */
export interface SearchResult {
  /** Path of the repository. */
  repository: string;
  path: string;
  /** From 1; null where only the path matches. */
  line: number | null;
  /** The line, or of a long one the part around the first term; null where there is no line. */
  excerpt: string | null;
}

export interface SearchResults {
  /** The best first. */
  results: SearchResult[];
  /** Whether more files match, or may. */
  truncated: boolean;
}

const LIMIT = 100;

/** @throws Refusal of bad terms or a bad limit; `not_found` for a repository that is not tracked */
export async function search(
  { db }: Pick<ClientContext, 'db'>,
  query: string,
  { repository, limit = 20 }: SearchOptions,
): Promise<SearchResults> {
  const terms = parseSearch(query);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT) {
    throw invalid('limit', `it is a whole number from 1 to ${LIMIT}`);
  }
  if (repository === undefined) return searchCode(db, { terms, repositoryId: null, limit });
  const found = await requireTracked(db, repository);
  return searchCode(db, { terms, repositoryId: found.id, limit });
}
