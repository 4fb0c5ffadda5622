import type { Database } from './connection.ts';

export interface NewEvent {
  id: string;
  topic: string;
  /** JSON text. */
  payload: string;
}

/** Stores an event. @returns false when an event of this id was there already; nothing has changed then */
export async function insertEvent(db: Database, event: NewEvent): Promise<boolean> {
  const inserted = await db
    .insertInto('events')
    .values(event)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst();
  return inserted !== undefined;
}
