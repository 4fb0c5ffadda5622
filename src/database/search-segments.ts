import { sql } from 'kysely';
import { CopyRows } from './copy-rows.ts';
import type { LentConnection } from './connection.ts';
import { PostingsReader } from './search-postings.ts';
import { Vocabulary, type WordGroup } from './search-vocabulary.ts';

interface Segment {
  segment: number;
  /** Of `search_words`. */
  rows: number;
}

// What is merged at once is read and written again, so there is an end to it; a search reads many small ones slower.
const MOST_MERGED_ROWS = 4_000;
/** From how many new rows on the trigrams are brought into order at once, not when somebody searches. */
const MANY_ROWS = 200;
const ROWS_READ_AT_ONCE = 200;

/**
 * The words of a repository's files, as they are stored. What is written at one time is a segment. Segments are never
 * changed, but merged: a new one takes those before it with it which are not much larger, so that there are few.
 */
export class SearchSegments {
  readonly #connection: LentConnection;
  readonly #repositoryId: number;
  #rowsWritten = 0;

  constructor(connection: LentConnection, repositoryId: number) {
    this.#connection = connection;
    this.#repositoryId = repositoryId;
  }

  /** Writes what is as large as it may become. */
  async write(vocabulary: Vocabulary): Promise<void> {
    await this.#append(vocabulary.groups());
  }

  /** Writes the last of what is new, merged with what is small. */
  async writeLast(vocabulary: Vocabulary): Promise<void> {
    if (vocabulary.isEmpty) return;
    const groups = [...vocabulary.groups()];
    const tail = smallOnes(await this.#list(), groups.length);
    if (tail.length === 0) {
      await this.#append(groups);
      return;
    }
    const merged = new Merged(this);
    await this.#move(tail, merged, null);
    for (const group of groups) await merged.add(group, null);
    await merged.end();
  }

  /** Writes everything anew without files that are gone. @param isAlive by a file's number */
  async compact(isAlive: (file: number) => boolean): Promise<void> {
    const merged = new Merged(this);
    await this.#move(await this.#list(), merged, isAlive);
    await merged.end();
  }

  async clear(): Promise<void> {
    await this.#connection.db.deleteFrom('search_words').where('repository_id', '=', this.#repositoryId).execute();
  }

  /**
   * Postgres keeps what is new in a GIN index aside, unordered, and every search reads through it. The owner of an index may
   * have that ended now; else it ends by itself.
   */
  async settle(): Promise<void> {
    if (this.#rowsWritten < MANY_ROWS) return;
    await sql`
      select gin_clean_pending_list(oid) from pg_class
      where oid = to_regclass('search_words_trigrams') and pg_has_role(relowner, 'usage')
    `.execute(this.#connection.db);
  }

  /** Reads those segments out, and takes them away. */
  async #move(segments: readonly Segment[], to: Merged, isAlive: ((file: number) => boolean) | null): Promise<void> {
    for (const { segment } of segments) {
      for (let after: number | null = -1; after !== null;) {
        const rows: (WordGroup & { number: number })[] = await this.#read(segment, after);
        for (const group of rows) await to.add(group, isAlive);
        after = rows.at(-1)?.number ?? null;
      }
    }
    const numbers = segments.map(({ segment }) => segment);
    await sql`
      delete from search_words where repository_id = ${this.#repositoryId} and segment = any(${numbers}::int[])
    `.execute(this.#connection.db);
  }

  async #read(segment: number, after: number): Promise<(WordGroup & { number: number })[]> {
    const rows = await this.#connection.db
      .selectFrom('search_words')
      .select(['number', 'kind', 'words', 'files'])
      .where('repository_id', '=', this.#repositoryId)
      .where('segment', '=', segment)
      .where('number', '>', after)
      .orderBy('number')
      .limit(ROWS_READ_AT_ONCE)
      .execute();
    return rows.map((row) => ({ ...row, words: Buffer.from(row.words) }));
  }

  async #list(): Promise<Segment[]> {
    const { rows } = await sql<Segment>`
      select segment, count(*)::int as rows from search_words
      where repository_id = ${this.#repositoryId} group by segment order by segment
    `.execute(this.#connection.db);
    return rows;
  }

  async #append(groups: Iterable<WordGroup>): Promise<void> {
    const row = await this.#connection.db
      .selectFrom('search_words')
      .select(({ fn }) => fn.max('segment').as('last'))
      .where('repository_id', '=', this.#repositoryId)
      .executeTakeFirst();
    const segment = (row?.last ?? 0) + 1;
    const columns = ['repository_id', 'segment', 'number', 'kind', 'words', 'files'];
    const copy = new CopyRows(this.#connection.client, 'search_words', columns);
    let number = 0;
    for (const { kind, words, files } of groups) {
      await copy.add([this.#repositoryId, segment, number, Buffer.from(kind), words, files]);
      number += 1;
    }
    await copy.end();
    this.#rowsWritten += number;
  }
}

/** The newest segments, in their order, that are at most twice as large as what they are merged into. */
function smallOnes(segments: readonly Segment[], newRows: number): Segment[] {
  const small: Segment[] = [];
  let rows = newRows;
  for (const segment of segments.toReversed()) {
    if (segment.rows > 2 * rows || segment.rows + rows > MOST_MERGED_ROWS) break;
    small.unshift(segment);
    rows += segment.rows;
  }
  return small;
}

/** Takes groups of several segments up, in the order of the segments, and writes them as one, or as several full ones. */
class Merged {
  readonly #segments: SearchSegments;
  #vocabulary = new Vocabulary();

  constructor(segments: SearchSegments) {
    this.#segments = segments;
  }

  async add({ words, files }: WordGroup, isAlive: ((file: number) => boolean) | null): Promise<void> {
    const postings = new PostingsReader(files);
    for (let from = 1, to = words.indexOf(LINE_FEED, from); to !== -1; to = words.indexOf(LINE_FEED, from)) {
      const all = postings.next();
      this.#vocabulary.addWord(words.subarray(from, to), isAlive === null ? all : all.filter(isAlive));
      from = to + 1;
    }
    if (this.#vocabulary.isFull) await this.end();
  }

  async end(): Promise<void> {
    if (!this.#vocabulary.isEmpty) await this.#segments.write(this.#vocabulary);
    this.#vocabulary = new Vocabulary();
  }
}

const LINE_FEED = 0x0a;
