import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { createLogger } from '../../src/logging.ts';
import { TASK_QUEUES } from '../../src/temporal/task-queues.ts';
import { startWorkerProcess } from '../../src/worker.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import { dispatchAlone } from './dispatch-alone.ts';
import { PAYLOAD } from './http-job.ts';
import { matchContest } from './match-contest.ts';
import { seededDice, somePatterns } from './pattern-mix.ts';
import { openProduct, type Product } from './product.ts';
import type { Receivers } from './receiver.ts';
import type { BenchOptions, Report, Row } from './report.ts';
import { setStage, startTemporal } from './stage.ts';
import { median } from './statistics.ts';

const SUBSCRIPTIONS = 1_000;
const PATTERNS_EACH = 10;
/** The one topic that all of them want. */
const WIDE_TOPIC = 'bench.wide';
const AT_ONCE = 20;

export async function benchFanout({ quick }: BenchOptions): Promise<Report> {
  const size = quick ? { rounds: 1, events: 1_000 } : { rounds: 3, events: 4_000 };
  return withCleanup(async (cleanup, signal) => {
    const matching = matchContest({ patterns: SUBSCRIPTIONS * PATTERNS_EACH, rounds: quick ? 5 : 15 });
    const { db, product, receivers } = await prepare(cleanup);
    const wide = await fanOut({ db, product, receivers, signal, rounds: size.rounds }, cleanup);
    const dispatching = await dispatchAlone({ db, signal, events: size.events, rounds: quick ? 2 : 5 });
    return {
      bench: 'fanout',
      rows: [...wide, ...matching.rows, ...dispatching],
      ratios: matching.ratios,
      notes: [
        `one event to ${SUBSCRIPTIONS} subscriptions, from before it is published; medians of ${size.rounds} rounds; as a worker comes: 10 requests in flight, a workflow a delivery`,
        `patterns: 75 % name a topic, 15 % have a *, 10 % end in >; the scan has them split ahead, and stops at the first token that differs`,
        `dispatching: ${size.events} events in the outbox, no worker; batches of dispatchBatch, one after the other, until all deliveries are written (none is sent)`,
        'this process publishes and works; the servers and the receiver have their own; Postgres with its default settings (it syncs to disk)',
      ],
    };
  });
}

async function prepare(cleanup: Cleanup) {
  say('starting Postgres, Temporal and a receiver');
  const { home, databaseUrl, receivers } = await setStage(cleanup, ['answers']);
  const { address } = await startTemporal({ home, say }, cleanup);
  const product = await openProduct({ home, databaseUrl, temporalAddress: address }, cleanup);
  const db = openDatabase(databaseUrl);
  cleanup.add(() => db.destroy());
  say(`making ${SUBSCRIPTIONS} subscriptions with ${PATTERNS_EACH} patterns each`);
  await subscribeAll(product.forgeflow, receivers.urls[0] ?? '');
  return { db, product, receivers };
}

async function subscribeAll({ subscriptions }: ForgeflowClient, url: string): Promise<void> {
  const dice = seededDice(2);
  const limit = pLimit(AT_ONCE);
  const adding = Array.from({ length: SUBSCRIPTIONS }, (_, number) => {
    const patterns = [WIDE_TOPIC, ...somePatterns(PATTERNS_EACH - 1, dice)];
    return limit(() => subscriptions.add({ name: `subscriber-${number}`, url, patterns }));
  });
  await Promise.all(adding);
}

interface FanOutOptions {
  db: ForgeflowDatabase;
  product: Product;
  receivers: Receivers;
  signal: AbortSignal;
  rounds: number;
}

async function fanOut(options: FanOutOptions, cleanup: Cleanup): Promise<Row[]> {
  const { db, product, receivers, signal, rounds } = options;
  const { config, forgeflow } = product;
  const worker = await cleanup.start(() =>
    startWorkerProcess({ config, queues: TASK_QUEUES, logger: createLogger('error'), graceMs: 500 }),
  );
  const writtenMs: number[] = [];
  const receivedMs: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    say(`one event to all, round ${round} of ${rounds}`);
    await receivers.reset();
    const begun = performance.now();
    const { eventId } = await forgeflow.publish({ topic: WIDE_TOPIC, data: PAYLOAD, json: true });
    const received = receivers.received(SUBSCRIPTIONS).then(() => performance.now() - begun);
    while ((await countDeliveries(db, eventId)) < SUBSCRIPTIONS) await sleep(5, undefined, { signal });
    writtenMs.push(performance.now() - begun);
    receivedMs.push(await received);
  }
  await worker.stop();
  const row = (what: string, values: number[]): Row => ({ what, value: median(values), unit: 'ms', rounds: values });
  return [
    row(`one event: until ${SUBSCRIPTIONS} deliveries are written`, writtenMs),
    row(`one event: until ${SUBSCRIPTIONS} requests have come`, receivedMs),
    {
      what: 'one event: requests',
      value: median(receivedMs.map((ms) => (1_000 * SUBSCRIPTIONS) / ms)),
      unit: '1/s',
    },
  ];
}

async function countDeliveries(db: ForgeflowDatabase, eventId: string): Promise<number> {
  const { count } = await db
    .selectFrom('deliveries')
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('event_id', '=', eventId)
    .executeTakeFirstOrThrow();
  return Number(count);
}
