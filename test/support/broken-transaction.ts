import { sql } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';

/**
 * From now on whoever writes to that table loses their connection in the middle of it, as when their process is killed; what
 * they wrote before in the same transaction goes too.
 * @returns ends it
 */
export async function breakOffAt(db: ForgeflowDatabase, table: string): Promise<() => Promise<void>> {
  await sql
    .raw(
      `create or replace function break_off() returns trigger language plpgsql as
         $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$;
       create trigger break_off after insert or update or delete on ${table}
         for each statement execute function break_off()`,
    )
    .execute(db);
  return async () => {
    await sql.raw(`drop trigger break_off on ${table}`).execute(db);
  };
}
