import { type Selectable, sql, type Updateable } from 'kysely';
import type { Lane } from '../domain/lane.ts';
import type { SubscriptionState } from '../domain/subscription.ts';
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
  lane?: Lane | undefined;
}

/** @throws a unique violation when the name is taken */
export async function insertSubscription(db: Database, subscription: NewSubscription): Promise<SubscriptionRow> {
  const { id, name, url, patterns, headersSealed, secretSealed, lane = 'workflow' } = subscription;
  return db
    .insertInto('subscriptions')
    .values({ id, name, url, patterns, headers_sealed: headersSealed, secret_sealed: secretSealed, lane })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function findSubscription(db: Database, name: string): Promise<SubscriptionRow | undefined> {
  return db.selectFrom('subscriptions').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function findSubscriptionById(db: Database, id: string): Promise<SubscriptionRow | undefined> {
  return db.selectFrom('subscriptions').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Some sealed secrets, of subscriptions and of GitLab's webhooks, to try a key on. @param limit for each of the two */
export async function someSealedSecrets(db: Database, limit: number): Promise<Buffer[]> {
  const { rows } = await sql<{ sealed: Buffer }>`
    (select secret_sealed as sealed from subscriptions limit ${limit})
    union all
    (select secret_sealed from gitlab_hooks where secret_sealed is not null limit ${limit})
  `.execute(db);
  return rows.map(({ sealed }) => sealed);
}

export async function listSubscriptions(db: Database): Promise<SubscriptionRow[]> {
  return db.selectFrom('subscriptions').selectAll().orderBy('name').execute();
}

/** What a person's word, either way, does to the circuit breaker. */
export const CLOSED_BREAKER = { tripped_at: null, next_probe_at: null, probe_delivery_id: null };

export interface Interest {
  id: string;
  name: string;
  patterns: string[];
  lane: Lane;
}

/** Who is to be told of events. */
export async function listInterests(db: Database): Promise<Interest[]> {
  return db
    .selectFrom('subscriptions')
    .select(['id', 'name', 'patterns', 'lane'])
    .where('state', '!=', 'paused')
    .execute();
}

/** Grows with every change that makes {@link listInterests} give something else. */
export async function subscriptionsVersion(db: Database): Promise<string> {
  return (await db.selectFrom('subscription_changes').select('version').executeTakeFirstOrThrow()).version;
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
  const { rows } = await sql`
    with subscription as (
      select id from subscriptions where name = ${name} for update
    ), locked as ( -- as a batch that is just being recorded has them, or the two could block each other
      select deliveries.id from deliveries join subscription on subscription.id = deliveries.subscription_id
      where deliveries.state = 'pending'
      order by deliveries.id for update of deliveries
    )
    delete from subscriptions using subscription
    where subscriptions.id = subscription.id and (select count(*) from locked) >= 0
    returning subscriptions.id
  `.execute(db);
  return rows.length > 0;
}

/** Stops sending to a subscription, without anybody having asked for it by name. */
export async function disableSubscription(db: Database, id: string): Promise<void> {
  await db
    .updateTable('subscriptions')
    .set({ state: 'paused', ...CLOSED_BREAKER })
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

export interface TrippedSubscription {
  name: string;
  trippedAt: Date | null;
  nextProbeAt: Date | null;
  lastError: string | null;
  /** Its pending deliveries. */
  waiting: number;
}

export async function listTripped(db: Database): Promise<TrippedSubscription[]> {
  return db
    .selectFrom('subscriptions')
    .select([
      'name',
      'tripped_at as trippedAt',
      'next_probe_at as nextProbeAt',
      'last_error as lastError',
      sql<number>`(
        select count(*)::int from deliveries where subscription_id = subscriptions.id and deliveries.state = 'pending'
      )`.as('waiting'),
    ])
    .where('state', '=', 'tripped')
    .orderBy('name')
    .execute();
}
