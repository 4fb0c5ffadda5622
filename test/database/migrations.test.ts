import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateDown, migrateUp, pendingMigrations } from '../../src/database/migrate.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

/** All columns, indexes and constraints, in words. */
async function schema(): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    select format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) as line
      from information_schema.columns where table_schema = 'public'
    union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
    union all select format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = 'public'::regnamespace
    order by line
  `.execute(database.db);
  return rows.map(({ line }) => line).filter((line) => !line.includes('kysely_migration'));
}

test('every migration can be taken back, leaves nothing behind, and be applied again with the same result', async () => {
  const { db } = database;
  expect(await pendingMigrations(db)).toEqual([]);
  const before = await schema();
  expect(before.length).toBeGreaterThan(40);

  const taken: string[] = [];
  for (let [step] = await migrateDown(db); step !== undefined; [step] = await migrateDown(db)) {
    expect(step.direction).toBe('down');
    taken.unshift(step.name);
  }
  expect(await schema()).toEqual([]);
  expect(await pendingMigrations(db)).toEqual(taken);

  expect((await migrateUp(db)).map(({ name, direction }) => [name, direction])).toEqual(
    taken.map((name) => [name, 'up']),
  );
  expect(await schema()).toEqual(before);
  expect(await migrateUp(db)).toEqual([]);
});

test('two processes that migrate at once do it once', async () => {
  const { db } = database;
  while ((await migrateDown(db)).length > 0);
  const other = openDatabase(database.url);
  const steps = await Promise.all([migrateUp(db), migrateUp(other)]);
  await other.destroy();
  expect(new Set(steps.flat().map(({ name }) => name)).size).toBe(steps.flat().length);
  expect(await pendingMigrations(db)).toEqual([]);
});
