import { sql } from 'kysely';
import { findMatch, type SearchMatch } from '../domain/excerpt.ts';
import { foldCase, type SearchTerm } from '../domain/search-terms.ts';
import type { Database, ForgeflowDatabase } from './connection.ts';
import { type FileKey, fileKey, fileOfKey, findCandidates } from './search-candidates.ts';

export interface CodeSearch {
  /** As `parseSearch` gives them. */
  terms: readonly SearchTerm[];
  /** Null: all that are tracked. */
  repositoryId: number | null;
  limit: number;
}

export interface FoundLine {
  /** Path of the repository. */
  repository: string;
  path: string;
  /** From 1; null where only the path matches. */
  line: number | null;
  excerpt: string | null;
}

export interface FoundLines {
  /** The best first. */
  results: FoundLine[];
  /** There was more. */
  truncated: boolean;
}

// How many groups of words are read for a part of a term: of one that many words have, some are enough to find files.
const FIRST_GROUPS = 250;
// Where that gave too little, since terms are each frequent but rarely together.
const ALL_GROUPS = 10_000;
/** Of so many candidates the paths are looked at, to choose those whose contents are read first. */
const PATHS_AT_ONCE = 1_000;
const READ_AT_ONCE = { files: 100, bytes: 1024 * 1024 };
/** So many files are ranked, where there are as many; more are read only where too few of them match. */
const ENOUGH = { files: 200, bytes: 2 * 1024 * 1024 };
const MOST = { files: 3_000, bytes: 48 * 1024 * 1024 };

/** The files in which all terms are found, in the path or in the content, each with its best line. */
export async function searchCode(db: ForgeflowDatabase, search: CodeSearch): Promise<FoundLines> {
  // One snapshot for all statements: an index that is replaced meanwhile must not be seen half.
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (transaction) => {
      const repositoryIds = await searchedRepositories(transaction, search.repositoryId);
      const first = await searchAmong(transaction, repositoryIds, search, FIRST_GROUPS);
      const isEnough = first.complete || first.results.length >= search.limit;
      return isEnough ? first : searchAmong(transaction, repositoryIds, search, ALL_GROUPS);
    })
    .then(({ results, truncated }) => ({ results, truncated }));
}

async function searchedRepositories(db: Database, repositoryId: number | null): Promise<number[]> {
  let query = db.selectFrom('repositories').select('id').where('tracked_at', 'is not', null);
  if (repositoryId !== null) query = query.where('id', '=', repositoryId);
  return (await query.execute()).map(({ id }) => id);
}

async function searchAmong(
  db: Database,
  repositoryIds: readonly number[],
  { terms, limit }: CodeSearch,
  mostGroups: number,
): Promise<FoundLines & { complete: boolean }> {
  const { files, complete } = await findCandidates(db, repositoryIds, terms, mostGroups);
  const found: Found[] = [];
  const read = { files: 0, bytes: 0 };
  let isWhole = true;
  for await (const some of likeliestFirst(db, files, terms)) {
    isWhole = !(isOver(read, MOST) || (isOver(read, ENOUGH) && found.length > limit));
    if (!isWhole) break;
    for (const file of await readFiles(db, some)) {
      read.files += 1;
      read.bytes += file.content?.length ?? 0;
      const match = findMatch(file, terms);
      if (match !== null) found.push({ repository: file.repository, path: file.path, match });
    }
  }
  found.sort(byRank);
  const results = found.slice(0, limit).map(({ repository, path, match: { line, excerpt } }) => {
    return { repository, path, line, excerpt };
  });
  return { results, truncated: !complete || !isWhole || found.length > limit, complete };
}

interface Found {
  repository: string;
  path: string;
  match: SearchMatch;
}

function byRank(a: Found, b: Found): number {
  const order = b.match.score - a.match.score;
  if (order !== 0) return order;
  return a.repository === b.repository ? compare(a.path, b.path) : compare(a.repository, b.repository);
}

/** Not as people sort, but the same everywhere. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

interface Amount {
  files: number;
  bytes: number;
}

function isOver(read: Amount, most: Amount): boolean {
  return read.files >= most.files || read.bytes >= most.bytes;
}

/** Parts of the files, to be read one after the other; of many candidates, those come first whose paths have terms. */
async function* likeliestFirst(
  db: Database,
  files: readonly FileKey[],
  terms: readonly SearchTerm[],
): AsyncGenerator<FileKey[]> {
  for (let at = 0; at < files.length; at += PATHS_AT_ONCE) {
    const some = files.slice(at, at + PATHS_AT_ONCE);
    const paths = await readPaths(db, some);
    const hits = new Map(paths.map(({ key, path }) => [key, countIn(foldCase(path), terms)]));
    const sizes = new Map(paths.map(({ key, bytes }) => [key, bytes]));
    // What has changed since its words were written is not there any more.
    const there = some.filter((key) => hits.has(key)).sort((a, b) => (hits.get(b) ?? 0) - (hits.get(a) ?? 0));
    let part: FileKey[] = [];
    let bytes = 0;
    for (const key of there) {
      part.push(key);
      bytes += sizes.get(key) ?? 0;
      if (!isOver({ files: part.length, bytes }, READ_AT_ONCE)) continue;
      yield part;
      part = [];
      bytes = 0;
    }
    if (part.length > 0) yield part;
  }
}

function countIn(text: string, terms: readonly SearchTerm[]): number {
  return terms.filter(({ folded }) => text.includes(folded)).length;
}

async function readPaths(
  db: Database,
  keys: readonly FileKey[],
): Promise<{ key: FileKey; path: string; bytes: number }[]> {
  // The length of a content is known without reading it.
  const { rows } = await sql<{ repository_id: number; number: number; path: string; bytes: number | null }>`
    select repository_id, number, path, octet_length(content) as bytes from search_files ${joining(keys)}
  `.execute(db);
  return rows.map(({ repository_id, number, path, bytes }) => {
    return { key: fileKey(repository_id, number), path, bytes: bytes ?? 0 };
  });
}

async function readFiles(
  db: Database,
  keys: readonly FileKey[],
): Promise<{ repository: string; path: string; content: string | null }[]> {
  const { rows } = await sql<{ repository: string; path: string; content: string | null }>`
    select repositories.path as repository, search_files.path, content from search_files ${joining(keys)}
    join repositories on repositories.id = repository_id
  `.execute(db);
  return rows;
}

function joining(keys: readonly FileKey[]) {
  const files = keys.map(fileOfKey);
  const repositoryIds = files.map(({ repositoryId }) => repositoryId);
  const numbers = files.map(({ number }) => number);
  return sql`join unnest(${repositoryIds}::int[], ${numbers}::int[]) as wanted (repository_id, number)
    using (repository_id, number)`;
}
