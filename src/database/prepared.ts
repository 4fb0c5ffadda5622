import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type pg from 'pg';

/**
 * The mark of a statement that comes very often, with few different texts: each connection has Postgres read and plan it once,
 * where that would take longer than the statement itself.
 */
export function preparedAs(name: string): RawBuilder<unknown> {
  return sql.raw(`/* prepared: ${name} */`);
}

const MARK = /\/\* prepared: ([\w-]+) \*\//;
/** It stands at the beginning, or after the first word. */
const BEGINNING = 80;

/** Kysely has no way to name a statement, so the connection reads the name off it. */
export function prepareMarked(client: pg.ClientBase): void {
  const query = client.query.bind(client) as (...input: unknown[]) => unknown;
  client.query = ((text: unknown, values: unknown, ...others: unknown[]) => {
    const name = typeof text === 'string' ? nameOf(text) : null;
    return name === null ? query(text, values, ...others) : query({ name, text, values }, ...others);
  }) as never;
}

const names = new Map<string, string>();

/** Postgres takes one text for each name. */
function nameOf(text: string): string | null {
  const [, mark] = MARK.exec(text.slice(0, BEGINNING)) ?? [];
  if (mark === undefined) return null;
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = `${mark} ${createHash('md5').update(text).digest('hex').slice(0, 8)}`;
  names.set(text, name);
  return name;
}
