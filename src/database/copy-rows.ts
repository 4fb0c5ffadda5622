import { once } from 'node:events';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** A value of a row: a number for an `integer`, bytes for `bytea`, and for `text` in UTF-8. */
export type CopiedValue = number | boolean | Uint8Array | null;

// https://www.postgresql.org/docs/current/sql-copy.html: signature, flags, length of what else the head has
const HEAD = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const END = Buffer.from([0xff, 0xff]);
const CHUNK_BYTES = 64 * 1024;

/** Streams rows into a table by Postgres' binary COPY, which needs no escaping. It holds one chunk, and what the socket holds. */
export class CopyRows {
  readonly #stream: ReturnType<typeof copyFrom>;
  readonly #columns: number;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #length = 0;
  #error: Error | undefined;

  /** @param client does nothing else until the end. @param table and columns are part of the statement as they stand */
  constructor(client: pg.ClientBase, table: string, columns: readonly string[]) {
    this.#columns = columns.length;
    this.#stream = client.query(copyFrom(`copy ${table} (${columns.join(', ')}) from stdin (format binary)`));
    this.#stream.on('error', (error: Error) => {
      this.#error = error;
    });
    this.#append(HEAD);
  }

  /** @throws Error where Postgres refuses this row, or one before */
  async add(values: readonly CopiedValue[]): Promise<void> {
    if (values.length !== this.#columns) throw new Error('a row for COPY has too few or too many values');
    let size = 2;
    for (const value of values) size += 4 + sizeOf(value);
    if (this.#length + size > this.#chunk.length) {
      await this.#flush();
      if (size > this.#chunk.length) this.#chunk = Buffer.allocUnsafe(size);
    }
    const chunk = this.#chunk;
    let at = chunk.writeInt16BE(values.length, this.#length);
    for (const value of values) {
      if (value === null) {
        at = chunk.writeInt32BE(-1, at);
      } else if (typeof value === 'number') {
        at = chunk.writeInt32BE(value, chunk.writeInt32BE(4, at));
      } else if (typeof value === 'boolean') {
        at = chunk.writeInt8(Number(value), chunk.writeInt32BE(1, at));
      } else {
        at = chunk.writeInt32BE(value.length, at);
        chunk.set(value, at);
        at += value.length;
      }
    }
    this.#length = at;
  }

  /** All rows are in the table when it is done. @throws Error of Postgres */
  async end(): Promise<void> {
    this.#append(END);
    await this.#flush();
    this.#stream.end();
    if (this.#error !== undefined) throw this.#error;
    await once(this.#stream, 'finish');
  }

  #append(bytes: Buffer): void {
    if (this.#length + bytes.length > this.#chunk.length) this.#chunk = Buffer.concat([this.#chunk], this.#length + 64);
    bytes.copy(this.#chunk, this.#length);
    this.#length += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#length === 0) return;
    const whole = this.#stream.write(this.#chunk.subarray(0, this.#length));
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#length = 0;
    if (!whole) await once(this.#stream, 'drain');
  }
}

function sizeOf(value: CopiedValue): number {
  if (value === null) return 0;
  if (typeof value === 'number') return 4;
  return typeof value === 'boolean' ? 1 : value.length;
}
