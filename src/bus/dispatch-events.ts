import { v7 as uuidv7 } from 'uuid';
import type { Database, ForgeflowDatabase } from '../database/connection.ts';
import {
  dispatchEvents,
  takeUndispatchedEvents,
  type UndispatchedEvent,
  type WrittenDelivery,
} from '../database/events.ts';
import type { Interest } from '../database/subscriptions.ts';
import type { BatchedDelivery } from '../domain/first-attempts.ts';
import { OpenBatches, type Reservation } from '../egress/open-batches.ts';
import { MOST_EVENTS } from './dispatch-pace.ts';
import { EXPRESS } from './start-deliveries.ts';
import type { SubscriptionsCache } from './subscriptions-cache.ts';

export interface Dispatched {
  events: number;
  /** How long the oldest had waited, in ms. */
  lateMs: number;
  /** Whether more may wait. */
  isFull: boolean;
  /** Deliveries of the express lane, and whose they are. */
  express: { deliveries: number; subscriptions: Interest[] };
  /** Those of them that went out at once, with batches that are under way. */
  handed: number;
  /** Deliveries that wait to be started. */
  waiting: number;
}

/**
 * Takes the oldest events and writes their deliveries: all of it is committed, or none. Deliveries of the express lane go out
 * with open batches, where these have places.
 * @param limit of the events
 */
export async function dispatchBatch(
  db: ForgeflowDatabase,
  subscriptions: SubscriptionsCache,
  openBatches = new OpenBatches(),
  limit = MOST_EVENTS,
): Promise<Dispatched> {
  const kept: { places?: Reservation } = {};
  try {
    const { events, planned, written, version } = await db.transaction().execute(async (transaction) => {
      const withPayloads = openBatches.free > 0;
      const events = await takeUndispatchedEvents(transaction, limit, { withPayloads });
      if (events.length === 0) return { events, planned: [], written: [], version: '0' };
      const { matcher, version } = await subscriptions.current(transaction);
      const planned = events.flatMap((event) =>
        [...matcher.match(event.topic)].map((subscription) => ({ id: uuidv7(), event, subscription })),
      );
      kept.places = openBatches.reserve(withPayloads ? planned.filter(isExpress).length : 0);
      const written = await write(transaction, events, planned, kept.places);
      return { events, planned, written, version };
    });
    const batchOf = new Map(written.map(({ id, batchId }) => [id, batchId]));
    const handed = planned.filter(({ id }) => batchOf.get(id));
    for (const { batchId } of kept.places?.slots ?? []) {
      const deliveries = handed.filter(({ id }) => batchOf.get(id) === batchId).map(firstAttempt);
      if (deliveries.length > 0) kept.places?.hand(batchId, { deliveries, version });
    }
    const express = planned.filter(isExpress).map(({ subscription }) => subscription);
    return {
      events: events.length,
      lateMs: events[0]?.lateMs ?? 0,
      isFull: events.length === limit,
      express: { deliveries: express.length, subscriptions: [...new Set(express)] },
      handed: handed.length,
      waiting: written.length - handed.length,
    };
  } finally {
    kept.places?.release();
  }
}

interface Planned {
  id: string;
  event: UndispatchedEvent;
  subscription: Interest;
}

const isExpress = ({ subscription }: Planned): boolean => subscription.lane === 'express';

async function write(
  db: Database,
  events: UndispatchedEvent[],
  planned: Planned[],
  places: Reservation,
): Promise<WrittenDelivery[]> {
  const eventIds = events.map(({ id }) => id);
  const deliveries = planned.map(({ id, event, subscription }) => {
    return { id, eventId: event.id, subscriptionId: subscription.id };
  });
  return dispatchEvents(db, eventIds, deliveries, { underWay: places.slots, ...EXPRESS });
}

function firstAttempt({ id, event, subscription }: Planned): BatchedDelivery {
  const { id: eventId, topic, payload } = event;
  return { id, number: 1, windowStartedAt: null, eventId, topic, payload, subscriptionId: subscription.id };
}
