import { sql } from 'kysely';
import type { Database } from './connection.ts';

/** A reading of a list of GitLab's, page by page, which may go on in another run than it began in. */
export interface Listing {
  /** Where to go on; null: at the beginning. */
  cursor: number | null;
  startedAt: Date;
}

/**
 * The reading that is under way, or a new one.
 * @param scope what is listed, in words of ours
 * @param at the time that a new one begins
 */
export async function beginOrResumeListing(db: Database, scope: string, at: Date): Promise<Listing> {
  const { cursor, started_at } = await db
    .insertInto('gitlab_listings')
    .values({ scope, started_at: at })
    .onConflict((conflict) =>
      conflict.column('scope').doUpdateSet({
        cursor: sql`case when gitlab_listings.completed_at is null then gitlab_listings.cursor end`,
        started_at: sql`case when gitlab_listings.completed_at is null then gitlab_listings.started_at else ${at} end`,
        completed_at: null,
      }),
    )
    .returning(['cursor', 'started_at'])
    .executeTakeFirstOrThrow();
  return { cursor: cursor === null ? null : Number(cursor), startedAt: started_at };
}

export async function advanceListing(db: Database, scope: string, cursor: number): Promise<void> {
  await db.updateTable('gitlab_listings').set({ cursor }).where('scope', '=', scope).execute();
}

export async function completeListing(db: Database, scope: string, at: Date): Promise<void> {
  await db.updateTable('gitlab_listings').set({ completed_at: at }).where('scope', '=', scope).execute();
}
