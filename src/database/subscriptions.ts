import { type Selectable, sql, type Updateable } from 'kysely';
import { LAST_ERROR_LIMIT, type SubscriptionState } from '../domain/subscription.ts';
import type { Database } from './connection.ts';
import type { SubscriptionTable } from './tables.ts';

export type SubscriptionRow = Selectable<SubscriptionTable>;

export interface NewSubscription {
  id: string;
  name: string;
  url: string;
  patterns: string[];
  headersSealed: Buffer;
  secretSealed: Buffer;
}

/** @throws a unique violation when the name is taken */
export async function insertSubscription(db: Database, subscription: NewSubscription): Promise<SubscriptionRow> {
  const { id, name, url, patterns, headersSealed, secretSealed } = subscription;
  return db
    .insertInto('subscriptions')
    .values({ id, name, url, patterns, headers_sealed: headersSealed, secret_sealed: secretSealed })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function findSubscription(db: Database, name: string): Promise<SubscriptionRow | undefined> {
  return db.selectFrom('subscriptions').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function findSubscriptionById(db: Database, id: string): Promise<SubscriptionRow | undefined> {
  return db.selectFrom('subscriptions').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Any one sealed secret, to try a key on; undefined while there is none. */
export async function anySealedSecret(db: Database): Promise<Buffer | undefined> {
  const row = await db.selectFrom('subscriptions').select('secret_sealed').limit(1).executeTakeFirst();
  return row?.secret_sealed;
}

export async function listSubscriptions(db: Database): Promise<SubscriptionRow[]> {
  return db.selectFrom('subscriptions').selectAll().orderBy('name').execute();
}

export interface Interest {
  id: string;
  name: string;
  url: string;
  patterns: string[];
}

/** Who is to be told of events. */
export async function listInterests(db: Database): Promise<Interest[]> {
  return db
    .selectFrom('subscriptions')
    .select(['id', 'name', 'url', 'patterns'])
    .where('state', '!=', 'paused')
    .execute();
}

export async function updateSubscription(
  db: Database,
  name: string,
  change: Updateable<SubscriptionTable>,
): Promise<SubscriptionRow | undefined> {
  return db.updateTable('subscriptions').set(change).where('name', '=', name).returningAll().executeTakeFirst();
}

/** Takes its deliveries and their attempts along. */
export async function deleteSubscription(db: Database, name: string): Promise<boolean> {
  const deleted = await db.deleteFrom('subscriptions').where('name', '=', name).returning('id').executeTakeFirst();
  return deleted !== undefined;
}

/** Stops sending to a subscription, without anybody having asked for it by name. */
export async function disableSubscription(db: Database, id: string): Promise<void> {
  await db.updateTable('subscriptions').set({ state: 'paused' }).where('id', '=', id).execute();
}

/** Keeps the books of a subscription after an attempt. `error` null means the attempt succeeded. */
export async function keepBooks(db: Database, id: string, at: Date, error: string | null): Promise<void> {
  await db
    .updateTable('subscriptions')
    .set(
      error === null
        ? { last_success_at: at, consecutive_failures: 0, last_error: null }
        : {
            last_failure_at: at,
            last_error: error.slice(0, LAST_ERROR_LIMIT),
            consecutive_failures: sql<number>`consecutive_failures + 1`,
          },
    )
    .where('id', '=', id)
    .execute();
}

export interface SubscriptionCount {
  state: SubscriptionState;
  count: number;
}

export async function countSubscriptions(db: Database): Promise<SubscriptionCount[]> {
  return db
    .selectFrom('subscriptions')
    .select(['state', sql<number>`count(*)::int`.as('count')])
    .groupBy('state')
    .execute();
}
