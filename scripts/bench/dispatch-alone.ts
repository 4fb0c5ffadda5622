import pLimit from 'p-limit';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { publish } from '../../src/bus/outbox.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { createLogger } from '../../src/logging.ts';
import { say } from './console.ts';
import { PAYLOAD } from './http-job.ts';
import { seededDice, someTopics } from './pattern-mix.ts';
import type { Row } from './report.ts';
import { median } from './statistics.ts';

const PUBLISHED_AT_ONCE = 20;

interface DispatchOptions {
  db: ForgeflowDatabase;
  signal: AbortSignal;
  events: number;
  rounds: number;
}

/** Events a second through the dispatcher, while no worker takes what it writes. */
export async function dispatchAlone({ db, signal, events, rounds }: DispatchOptions): Promise<Row[]> {
  const cache = new SubscriptionsCache(createLogger('error'));
  const limit = pLimit(PUBLISHED_AT_ONCE);
  const topics = someTopics(events, seededDice(3));
  const reading = performance.now();
  await cache.reload(db);
  const readMs = performance.now() - reading;
  while ((await dispatchBatch(db, cache)).events > 0); // what the worker left
  const published: number[] = [];
  const dispatched: number[] = [];
  const perEvent: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    say(`dispatching ${events} events, round ${round} of ${rounds}`);
    const before = await countAllDeliveries(db);
    let begun = performance.now();
    await Promise.all(topics.map((topic) => limit(() => publish(db, { topic, data: PAYLOAD, json: true }))));
    published.push((1_000 * events) / (performance.now() - begun));
    begun = performance.now();
    while ((await dispatchBatch(db, cache)).events > 0) signal.throwIfAborted();
    dispatched.push((1_000 * events) / (performance.now() - begun));
    perEvent.push(((await countAllDeliveries(db)) - before) / events);
  }
  const row = (what: string, values: number[]): Row => ({ what, value: median(values), unit: '1/s', rounds: values });
  return [
    { what: 'reading and indexing all subscriptions', value: readMs, unit: 'ms' },
    row('publishing alone: events', published),
    row('dispatching alone: events', dispatched),
    { what: 'deliveries for each of these events', value: median(perEvent), unit: 'deliveries' },
  ];
}

async function countAllDeliveries(db: ForgeflowDatabase): Promise<number> {
  const { count } = await db
    .selectFrom('deliveries')
    .select((select) => select.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}
