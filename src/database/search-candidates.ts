import { sql } from 'kysely';
import type { SearchTerm } from '../domain/search-terms.ts';
import { signRuns, wordRuns } from '../domain/search-words.ts';
import type { Database } from './connection.ts';
import { PostingsReader } from './search-postings.ts';
import type { WordKind } from './search-vocabulary.ts';

/** A file of the index, as one number, so that sets of many files are quick. See `fileKey`. */
export type FileKey = number;

export interface Candidates {
  /** Those in which the terms are most likely whole words come first. */
  files: FileKey[];
  /** Whether every file that matches is among them. */
  complete: boolean;
}

/** Below that, a run has no trigram of its own. */
const TRIGRAM = 3;
/** So few files may as well be read as narrowed further. */
const FEW_FILES = 100;

const NUMBERS = 2 ** 31;

export function fileKey(repositoryId: number, number: number): FileKey {
  return repositoryId * NUMBERS + number;
}

export function fileOfKey(key: FileKey): { repositoryId: number; number: number } {
  return { repositoryId: Math.floor(key / NUMBERS), number: key % NUMBERS };
}

/**
 * The files that may match all terms. Words are looked up for the longest parts of the terms first; one that is in more groups
 * of words than may be read does not narrow anything down, but tells some files that have it.
 * @param mostGroups how many groups of words are read at most for each part of a term
 */
export async function findCandidates(
  db: Database,
  repositoryIds: readonly number[],
  terms: readonly SearchTerm[],
  mostGroups: number,
): Promise<Candidates> {
  const runs = lookedUp(terms);
  const likely = new Map<FileKey, number>();
  let common: Set<FileKey> | null = null;
  for (const run of runs) {
    const { files, complete } = await filesWith(db, repositoryIds, run, mostGroups);
    for (const [file, points] of files) likely.set(file, (likely.get(file) ?? 0) + points);
    if (!complete) continue;
    common = new Set([...(common ?? files.keys())].filter((file) => files.has(file)));
    if (common.size <= FEW_FILES) break;
  }
  const files = [...(common ?? likely.keys())];
  files.sort((a, b) => (likely.get(b) ?? 0) - (likely.get(a) ?? 0) || a - b);
  return { files, complete: common !== null };
}

/** A part of a term, and whether it is a word by itself because it is signs. */
interface Run {
  text: string;
  isSigns: boolean;
}

/** Short parts, which take long to look up, are only where there are no others; every term has something to be looked up. */
function lookedUp(terms: readonly SearchTerm[]): Run[] {
  const words = [...new Set(terms.flatMap(({ folded }) => wordRuns(folded)))].sort((a, b) => b.length - a.length);
  if (words.length === 0) {
    return [...new Set(terms.flatMap(({ folded }) => signRuns(folded)))].map((text) => ({ text, isSigns: true }));
  }
  const distinct = words.filter((word, at) => !words.slice(0, at).some((longer) => longer.includes(word)));
  const long = distinct.filter((word) => word.length >= TRIGRAM);
  return (long.length > 0 ? long : distinct).map((text) => ({ text, isSigns: false }));
}

const PART_OF_WORD = 1;
const WHOLE_WORD = 2;

/** Files with a word that has the run in it, those where it is a word first. */
async function filesWith(
  db: Database,
  repositoryIds: readonly number[],
  { text, isSigns }: Run,
  mostGroups: number,
): Promise<{ files: Map<FileKey, number>; complete: boolean }> {
  const whole = `%\n${escapeLike(text)}\n%`;
  const part = isSigns ? whole : `%${escapeLike(text)}%`;
  const kinds: readonly WordKind[] = isSigns ? ['signs'] : ['short', 'long'];
  const groups = await groupsWith(db, repositoryIds, { pattern: part, kinds, limit: mostGroups + 1 });
  const complete = groups.length <= mostGroups;
  if (!complete) groups.push(...(await groupsWith(db, repositoryIds, { pattern: whole, kinds, limit: mostGroups })));
  const files = new Map<FileKey, number>();
  for (const { repository_id, words, files: postings } of groups) {
    const reader = new PostingsReader(postings);
    for (const word of words.slice(1, -1).split('\n')) {
      if (!word.includes(text)) {
        reader.skip();
        continue;
      }
      const points = word === text ? WHOLE_WORD : PART_OF_WORD;
      for (const number of reader.next()) {
        const key = fileKey(repository_id, number);
        if ((files.get(key) ?? 0) < points) files.set(key, points);
      }
    }
  }
  return { files, complete };
}

interface FoundGroup {
  repository_id: number;
  words: string;
  files: Buffer;
}

async function groupsWith(
  db: Database,
  repositoryIds: readonly number[],
  { pattern, kinds, limit }: { pattern: string; kinds: readonly WordKind[]; limit: number },
): Promise<FoundGroup[]> {
  // A statement for each kind, so that each has the index that is made for it; that has to stand in the statement.
  const ofKinds = kinds.map(
    (kind) => sql`(
      select repository_id, words, files from search_words
      where repository_id = any(${repositoryIds}::int[]) and kind = ${sql.lit(kind)} and words like ${pattern}
      limit ${limit}
    )`,
  );
  const { rows } = await sql<FoundGroup>`
    select * from (${sql.join(ofKinds, sql` union all `)}) as groups limit ${limit}
  `.execute(db);
  return rows;
}

function escapeLike(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}
