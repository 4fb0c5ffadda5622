import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import type { Courier } from './courier.ts';
import type { Receivers } from './receiver.ts';

export interface Load {
  /** The first of the receivers' endpoints get it; the last of these is the one that may hang. */
  endpoints: number;
  /** Of these, how many are measured: those that answer. */
  healthy: number;
  /** An event is handed in each time this much has passed, whatever became of those before. */
  everyMs: number;
  forMs: number;
  /** How long requests may be late after that; one that has not come then counts with the time it took so far. */
  patienceMs: number;
}

/** From handing in to the request's arrival. */
export interface Sample {
  /** Since the phase began. */
  handedInMs: number;
  latencyMs: number;
  came: boolean;
}

export interface Phase {
  samples: Sample[];
  /** When the courier gave up the last endpoint, since the phase began; null: it did not. */
  gaveUpMs: number | null;
  /** How many requests the last endpoint got. */
  toLast: number;
}

/** Lets a courier work under an even load, and says how long each request to a healthy endpoint took to arrive. */
export async function loadPhase(
  courier: Courier,
  { receivers, signal }: { receivers: Receivers; signal: AbortSignal },
  load: Load,
): Promise<Phase> {
  const last = load.endpoints - 1;
  const line = await courier.open(receivers.urls.slice(0, load.endpoints));
  await receivers.reset();
  const handedIn = new Map<string, number>();
  const begun = Date.now();
  let gaveUpMs: number | null = null;
  const watch = async (): Promise<void> => {
    if (gaveUpMs === null && (await line.hasGivenUp(last))) gaveUpMs ??= Date.now() - begun;
  };
  const underWay: Promise<void>[] = [];
  for (let due = begun; due < begun + load.forMs; due += load.everyMs) {
    await sleep(due - Date.now(), undefined, { signal });
    const eventId = uuidv7();
    handedIn.set(eventId, Date.now());
    for (const work of [line.send(eventId), watch()]) {
      work.catch(() => undefined); // it is thrown below; nobody listens meanwhile
      underWay.push(work);
    }
  }
  await Promise.all(underWay);
  const arrived = await arrivalTimes(receivers, load, handedIn.size);
  const ended = Date.now();
  const samples = [...handedIn].flatMap(([eventId, at]) =>
    Array.from({ length: load.healthy }, (_, endpoint): Sample => {
      const arrival = arrived.get(`${eventId} ${endpoint}`);
      return { handedInMs: at - begun, latencyMs: (arrival ?? ended) - at, came: arrival !== undefined };
    }),
  );
  const toLast = (await receivers.arrivals()).filter(({ endpoint }) => endpoint === last).length;
  await line.close();
  while ((await receivers.unanswered()) > 0) await sleep(100, undefined, { signal }); // they would take places from the next
  return { samples, gaveUpMs, toLast };
}

/** When the first request of each event came to each healthy endpoint; retries do not count. */
async function arrivalTimes(receivers: Receivers, load: Load, events: number): Promise<Map<string, number>> {
  const deadline = Date.now() + load.patienceMs;
  for (;;) {
    const times = new Map<string, number>();
    for (const { eventId, endpoint, at } of await receivers.arrivals()) {
      const key = `${eventId} ${endpoint}`;
      if (endpoint < load.healthy && !times.has(key)) times.set(key, at);
    }
    if (times.size >= events * load.healthy || Date.now() > deadline) return times;
    await sleep(100);
  }
}
