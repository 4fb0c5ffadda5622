import pLimit from 'p-limit';
import { v7 as uuidv7, validate as isUuid } from 'uuid';
import { type DeliveryToStart, deliveriesToStart, markStarted } from '../database/deliveries.ts';
import { insertEvent, type NewEvent } from '../database/events.ts';
import { type Interest, listInterests } from '../database/subscriptions.ts';
import { PAYLOAD_LIMIT } from '../domain/delivery.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import { checkTopic, matchesTopic } from '../domain/topic-pattern.ts';
import { startDelivery } from '../temporal/deliveries.ts';
import type { ClientContext } from './context.ts';

export interface Publication {
  topic: string;
  /** A JSON value; or JSON text as it is to be sent, in a string with `json` set. */
  data: unknown;
  /** True: `data` is JSON text, stored and sent to the byte. */
  json?: boolean;
  /** UUID of the event; an event published again under its id is the same event. Made up when left out. */
  id?: string | undefined;
}

export interface PublishedEvent {
  eventId: string;
  /** True when an event of this id was there already. Nothing is sent twice. */
  duplicate: boolean;
}

/** How many workflows are started at once. */
const STARTS_AT_ONCE = 20;

export async function publish(context: ClientContext, publication: Publication): Promise<PublishedEvent> {
  const topic = checkTopic(publication.topic);
  const payload = checkPayload(publication);
  const eventId = publication.id?.toLowerCase() ?? uuidv7();
  if (!isUuid(eventId)) throw invalid('id', `"${eventId}" is not a UUID`);

  const interests = await listInterests(context.db);
  const interested = interests.filter(({ patterns }) => patterns.some((pattern) => matchesTopic(pattern, topic)));
  const stored = await storeEvent(context, { id: eventId, topic, payload }, interested);
  // Also for a duplicate: whoever published it first may have died before it came this far.
  await startAll(context, stored ?? (await deliveriesToStart(context.db, eventId)));
  return { eventId, duplicate: stored === undefined };
}

/** @returns the deliveries that are to be started; undefined when the event was there already */
export async function storeEvent(
  { db }: ClientContext,
  event: NewEvent,
  interested: Interest[],
): Promise<DeliveryToStart[] | undefined> {
  const planned = interested.map(({ id, name, url }) => ({
    id: uuidv7(),
    subscriptionId: id,
    subscription: name,
    url,
  }));
  const stored = await insertEvent(db, event, planned);
  return stored === undefined
    ? undefined
    : planned
        .filter(({ id }) => stored.includes(id))
        .map(({ id, subscription, url }) => ({ id, topic: event.topic, subscription, url, attemptCount: 0 }));
}

/** Starts the workflows of deliveries that are in the database. */
export async function startAll({ db, temporal }: ClientContext, deliveries: DeliveryToStart[]): Promise<void> {
  if (deliveries.length === 0) return;
  const limit = pLimit(STARTS_AT_ONCE);
  await Promise.all(deliveries.map((delivery) => limit(() => startDelivery(temporal, delivery))));
  await markStarted(
    db,
    deliveries.map(({ id }) => id),
  );
}

function checkPayload({ data, json = false }: Publication): string {
  const text = json ? data : writeJson(data);
  if (typeof text !== 'string') throw invalid('data', 'it cannot be written as JSON');
  const bytes = Buffer.byteLength(text);
  if (bytes > PAYLOAD_LIMIT) {
    throw new Refusal('too_large', `data: it is ${bytes} bytes long; ${PAYLOAD_LIMIT} (1 MiB) at most`, 'data');
  }
  if (json) {
    try {
      JSON.parse(text);
    } catch (error) {
      throw invalid('data', `it is not JSON (${error instanceof Error ? error.message : 'unreadable'})`);
    }
  }
  if (text.includes('\u0000')) throw invalid('data', 'it has a NUL character, which JSON text may not have');
  return text;
}

/** @returns undefined for what JSON has no form for: a function, a big integer, an object that contains itself */
function writeJson(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}
