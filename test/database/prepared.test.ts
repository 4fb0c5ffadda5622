import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, type ForgeflowDatabase, openDatabase, withConnection } from '../../src/database/connection.ts';
import { takeUndispatchedEvents } from '../../src/database/events.ts';
import { preparedAs } from '../../src/database/prepared.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

/** A mark that nobody else has, since the connections of the pool are used by all tests. */
const newMark = () => `test-${randomUUID().slice(0, 8)}`;

interface Prepared {
  name: string;
  /** How often it was run. */
  runs: number;
}

/** What Postgres has prepared on this connection: under this mark, or all that has this text. */
async function preparedOn(db: Database, text: string): Promise<Prepared[]> {
  const { rows } = await sql<Prepared>`
    select name, (generic_plans + custom_plans)::int as runs from pg_prepared_statements
    where position(${text} in statement) > 0 and name <> '' order by prepare_time, name
  `.execute(db);
  return rows;
}

const backendOf = async (db: Database) =>
  (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)).rows[0]!.pid;

/** The double of a number, by a marked statement. */
async function double(db: Database, mark: string, n: number): Promise<number | undefined> {
  const { rows } = await sql<{ double: number }>`
    ${preparedAs(mark)}
    select ${n}::int * 2 as double
  `.execute(db);
  return rows[0]?.double;
}

const NAMED = /^test-[\da-f]{8} [\da-f]{8}$/;

describe('a marked statement', () => {
  test('E14: is prepared once for each connection, under a name that is the same on all', async () => {
    const mark = newMark();
    await withConnection(database.db, async ({ db: one }) => {
      await withConnection(database.db, async ({ db: other }) => {
        expect(await backendOf(one)).not.toBe(await backendOf(other));
        for (const n of [1, 2, 3]) expect(await double(one, mark, n)).toBe(2 * n);
        expect(await preparedOn(other, mark)).toEqual([]);
        expect(await double(other, mark, 4)).toBe(8);
        const [name] = (await preparedOn(one, mark)).map((each) => each.name);
        expect(name).toMatch(NAMED);
        expect(name).toContain(mark);
        expect(await preparedOn(one, mark)).toEqual([{ name, runs: 3 }]);
        expect(await preparedOn(other, mark)).toEqual([{ name, runs: 1 }]);
      });
    });
  });

  test('E14: has other names with other texts, and each gives what is its own', async () => {
    const mark = newMark();
    await withConnection(database.db, async ({ db }) => {
      const plus = async (what: string, n: number) => {
        const { rows } = await sql<{ sum: number }>`
          ${preparedAs(mark)} select ${n}::int + ${sql.raw(what)} as sum
        `.execute(db);
        return rows[0]?.sum;
      };
      expect([await plus('10', 1), await plus('20', 1), await plus('10', 2), await plus('20', 2)]).toEqual([
        11, 21, 12, 22,
      ]);
      const prepared = await preparedOn(db, mark);
      expect(prepared.map(({ runs }) => runs)).toEqual([2, 2]);
      expect(new Set(prepared.map(({ name }) => name)).size).toBe(2);
    });
  });

  test.each(['commit', 'rollback'] as const)(
    'E14: works within transactions, and stays prepared after a %s',
    async (end) => {
      const mark = newMark();
      const own = openDatabase(database.url, { maxConnections: 1 });
      try {
        const backend = await backendOf(own);
        for (const n of [1, 2]) {
          const transaction = await own.startTransaction().execute();
          expect(await double(transaction, mark, n)).toBe(2 * n);
          expect(await preparedOn(transaction, mark)).toMatchObject([{ runs: n }]);
          await transaction[end]().execute();
        }
        expect(await double(own, mark, 3)).toBe(6);
        expect([await backendOf(own), await preparedOn(own, mark)]).toMatchObject([backend, [{ runs: 3 }]]);
      } finally {
        await own.destroy();
      }
    },
  );

  test('E14: that fails does so by its own error, and works when there is no reason any more', async () => {
    const mark = newMark();
    const table = sql.table(`later_${mark.replace('-', '_')}`);
    await withConnection(database.db, async ({ client, db }) => {
      const read = () => sql<{ n: number }>`${preparedAs(mark)} select 6 / n as n from ${table}`.execute(db);
      await expect(read()).rejects.toMatchObject({ code: '42P01' }); // there is no such table
      await sql`create table ${table} (n int)`.execute(db);
      await sql`insert into ${table} values (0)`.execute(db);
      await client.query('begin');
      await expect(read()).rejects.toMatchObject({ code: '22012' }); // a division by zero
      await expect(read()).rejects.toMatchObject({ code: '25P02' }); // the transaction is over
      await client.query('rollback');
      await sql`update ${table} set n = 2`.execute(db);
      expect((await read()).rows).toEqual([{ n: 3 }]);
      expect(await preparedOn(db, mark)).toMatchObject([{ name: expect.stringMatching(NAMED) as string }]);
    });
  });

  test('E14: is prepared anew with a new connection, after its own was cut', async () => {
    const mark = newMark();
    const own = openDatabase(database.url, { maxConnections: 1 });
    try {
      await double(own, mark, 1);
      const [backend, prepared] = [await backendOf(own), await preparedOn(own, mark)];
      await cut(backend);
      expect(await eventually(() => double(own, mark, 2))).toBe(4);
      expect(await backendOf(own)).not.toBe(backend);
      expect(await preparedOn(own, mark)).toEqual([{ ...prepared[0], runs: 1 }]);
    } finally {
      await own.destroy();
    }
  });

  test('E14: of a transaction whose connection is cut fails with it, and the next one works', async () => {
    const mark = newMark();
    const own = openDatabase(database.url, { maxConnections: 1 });
    try {
      const cutOff = own.transaction().execute(async (transaction) => {
        await double(transaction, mark, 1);
        await cut(await backendOf(transaction));
        return double(transaction, mark, 2);
      });
      await expect(cutOff).rejects.toThrow();
      const next = () => own.transaction().execute((transaction) => double(transaction, mark, 3));
      expect(await eventually(next)).toBe(6);
    } finally {
      await own.destroy();
    }
  });

  test('E14: many at once, on as many connections, all get what is their own', async () => {
    const mark = newMark();
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    const doubles = await Promise.all(numbers.map((n) => double(database.db, mark, n)));
    expect(doubles).toEqual(numbers.map((n) => 2 * n));
  });

  test('E14: may be one that Kysely builds, which is told by its first words', async () => {
    const mark = newMark();
    const [id, payload] = [randomUUID(), '"<3"'];
    await database.db.insertInto('events').values({ id, topic: 'a.b', payload }).execute();
    await withConnection(database.db, async ({ db }) => {
      const find = (eventId: string) =>
        db
          .selectFrom('events')
          .modifyFront(preparedAs(mark))
          .select(['id', 'payload'])
          .where('id', '=', eventId)
          .execute();
      expect(await find(id)).toEqual([{ id, payload }]);
      expect(await find(randomUUID())).toEqual([]);
      expect(await preparedOn(db, mark)).toEqual([{ name: expect.stringMatching(NAMED) as string, runs: 2 }]);
    });
  });

  test('E2: such are the events that are taken: in one way, whatever is asked for', async () => {
    await withConnection(database.db, async ({ db }) => {
      await takeUndispatchedEvents(db, 1);
      await takeUndispatchedEvents(db, 200, { withPayloads: true });
      const prepared = await preparedOn(db, 'prepared: take-events');
      expect(prepared.map(({ name }) => name)).toEqual([expect.stringMatching(/^take-events [\da-f]{8}$/)]);
    });
  });
});

test('E14: a statement without a mark is not prepared, nor one that has it elsewhere', async () => {
  const mark = newMark();
  await withConnection(database.db, async ({ client, db }) => {
    const text = `/* prepared: ${mark} */`;
    await sql`select ${mark} as plain`.execute(db);
    await sql`select ${text} as given`.execute(db);
    await sql`select ${sql.lit('x'.repeat(100))} as long, ${sql.lit(text)} as text`.execute(db);
    await db.selectFrom('events').select('id').where('topic', '=', text).execute();
    await client.query(`select '${mark}' as plain`);
    expect(await preparedOn(db, mark)).toEqual([]);
  });
});

/** Ends a connection from outside, as a server does that is shut down. */
async function cut(backend: number, db: ForgeflowDatabase = database.db): Promise<void> {
  await sql`select pg_terminate_backend(${backend}::int, 5000)`.execute(db);
}
