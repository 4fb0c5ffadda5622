import type { DeliveryState } from '../domain/delivery.ts';
import type { Database } from './connection.ts';

/** A delivery as people read it. */
export interface DeliveryEntry {
  id: string;
  subscription: string;
  eventId: string;
  topic: string;
  state: DeliveryState;
  failureDetail: string | null;
  attemptCount: number;
  dateCreated: Date;
  dateFirstSent: Date | null;
  dateSent: Date | null;
  nextAttemptAt: Date | null;
}

export interface DeliveryFilter {
  subscription?: string | undefined;
  state?: DeliveryState | undefined;
  topic?: string | undefined;
  limit: number;
}

function selectEntries(db: Database) {
  return db
    .selectFrom('deliveries as delivery')
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .innerJoin('subscriptions as subscription', 'subscription.id', 'delivery.subscription_id')
    .select([
      'delivery.id',
      'subscription.name as subscription',
      'event.id as eventId',
      'event.topic',
      'delivery.state',
      'delivery.failure_detail as failureDetail',
      'delivery.attempt_count as attemptCount',
      'delivery.date_created as dateCreated',
      'delivery.date_first_sent as dateFirstSent',
      'delivery.date_sent as dateSent',
      'delivery.next_attempt_at as nextAttemptAt',
    ]);
}

/** Newest first. */
export async function listDeliveries(db: Database, filter: DeliveryFilter): Promise<DeliveryEntry[]> {
  const { subscription, state, topic, limit } = filter;
  return selectEntries(db)
    .$if(subscription !== undefined, (query) => query.where('subscription.name', '=', subscription ?? ''))
    .$if(state !== undefined, (query) => query.where('delivery.state', '=', state ?? 'pending'))
    .$if(topic !== undefined, (query) => query.where('event.topic', '=', topic ?? ''))
    .orderBy('delivery.date_created', 'desc')
    .orderBy('delivery.id', 'desc')
    .limit(limit)
    .execute();
}

export async function findDelivery(
  db: Database,
  id: string,
): Promise<(DeliveryEntry & { payload: string }) | undefined> {
  return selectEntries(db).select('event.payload').where('delivery.id', '=', id).executeTakeFirst();
}
