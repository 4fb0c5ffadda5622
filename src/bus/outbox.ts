import { v7 as uuidv7, validate as isUuid } from 'uuid';
import type { Database } from '../database/connection.ts';
import { insertEvent, isNestedTooDeep, type NewEvent } from '../database/events.ts';
import { PAYLOAD_LIMIT } from '../domain/delivery.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import { checkTopic } from '../domain/topic-pattern.ts';

const LONGEST_DEDUPE_KEY = 512;

export interface Publication {
  topic: string;
  /** A JSON value; or JSON text as it is to be sent, in a string with `json` set. */
  data: unknown;
  /** True: `data` is JSON text, stored and sent to the byte. */
  json?: boolean;
  /** UUID of the event; an event published again under its id is the same event. Made up when left out. */
  id?: string | undefined;
  /** Any text that makes two publications the same event, for sources that have no UUIDs; 1 to 512 characters. */
  dedupeKey?: string | undefined;
}

export interface PublishedEvent {
  eventId: string;
  /** True when this event was there already. Nothing is sent twice. */
  duplicate: boolean;
}

/**
 * Stores an event in the outbox, which is all of publishing: the relays of the workers do the rest, as soon as it is
 * committed.
 * @param db a database, or the transaction that the event belongs to
 * @throws Refusal for bad input; nothing is stored then
 */
export async function publish(db: Database, publication: Publication): Promise<PublishedEvent> {
  return storeEvent(db, checkPublication(publication));
}

/** What is published, ready to be stored. */
export type CheckedEvent = Required<NewEvent>;

/** @throws Refusal for bad input */
export function checkPublication(publication: Publication): CheckedEvent {
  const topic = checkTopic(publication.topic);
  const payload = checkPayload(publication);
  const id = publication.id?.toLowerCase() ?? uuidv7();
  if (!isUuid(id)) throw invalid('id', `"${id}" is not a UUID`);
  const dedupeKey = checkDedupeKey(publication.dedupeKey);
  return { id, topic, payload, dedupeKey };
}

/** @throws Refusal for what only Postgres can find */
export async function storeEvent(db: Database, event: CheckedEvent): Promise<PublishedEvent> {
  try {
    const stored = await insertEvent(db, event);
    return { eventId: stored.id, duplicate: stored.duplicate };
  } catch (error) {
    if (isNestedTooDeep(error)) throw invalid('data', 'it is nested deeper than Postgres reads');
    throw error;
  }
}

function checkDedupeKey(key: string | undefined): string | null {
  if (key === undefined) return null;
  // An empty one would make one event of all that a source sends; a long one fits into no index.
  if (key.length < 1 || key.length > LONGEST_DEDUPE_KEY) {
    throw invalid('dedupeKey', `it has ${key.length} characters; 1 to ${LONGEST_DEDUPE_KEY} are allowed`);
  }
  if (key.includes('\u0000')) throw invalid('dedupeKey', 'it has a NUL character');
  return key;
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
