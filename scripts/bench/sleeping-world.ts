import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pLimit from 'p-limit';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import type { Cleanup } from './cleanup.ts';
import { PAYLOAD } from './http-job.ts';
import { newDatabase } from './new-database.ts';
import { databaseMiB, residentMiB } from './process-usage.ts';
import { openProduct, type Product } from './product.ts';
import { type Stage, startTemporal } from './stage.ts';
import { watchCpu } from './watch-cpu.ts';
import { startWorker } from './worker-process.ts';

const SUBSCRIPTIONS = 10;
const WARM_UP = 50;
/** Where no breaker is to trip: more failures in a row than a subscription gets. */
const NEVER = 1_000;

export interface World {
  /** Deliveries to be put to sleep. */
  asleep: number;
  /** With it they wait in Postgres, but for the first few; without it each in its workflow. */
  breaker: boolean;
  settleMs: number;
  watchMs: number;
}

/** CPU in ms for each second. */
export interface Cost {
  workerRssMiB: number;
  workerCpu: number;
  /** Of a worker that was started when all slept already. */
  newWorkerRssMiB: number;
  newWorkerCpu: number;
  temporalRssMiB: number;
  temporalCpu: number;
  temporalFileMiB: number;
  postgresCpu: number;
  workflowsAsleep: number;
}

interface Context {
  stage: Stage;
  workflowBundle: string;
  say: (message: string) => void;
  signal: AbortSignal;
}

/**
 * Puts deliveries to sleep in a new database, on a new Temporal server, by a new worker process, and watches all of them.
 * The stage's receivers: one that answers, and one that is away.
 */
export async function watchSleep(
  world: World,
  { stage, workflowBundle, say, signal }: Context,
  cleanup: Cleanup,
): Promise<Cost> {
  const { home, receivers } = stage;
  const databaseUrl = await newDatabase(stage.databaseUrl, 'sleep');
  const temporal = await startTemporal({ home, say }, cleanup);
  const settings: Record<string, string> = world.breaker ? {} : { BREAKER_FAILURES: String(NEVER) };
  const product = await openProduct({ home, databaseUrl, temporalAddress: temporal.address, settings }, cleanup);
  const db = openDatabase(databaseUrl);
  cleanup.add(() => db.destroy());
  const startOne = () => startWorker({ home, variables: product.variables, workflowBundle });
  const worker = await cleanup.start(startOne);

  const [answering = '', away = ''] = receivers.urls;
  await product.forgeflow.subscriptions.add({ name: 'warm-up', url: answering, patterns: ['bench.warm-up'] });
  for (let number = 0; number < SUBSCRIPTIONS; number += 1)
    await product.forgeflow.subscriptions.add({ name: `away-${number}`, url: away, patterns: ['bench.sleep'] });
  await publishMany(product, 'bench.warm-up', WARM_UP);
  await untilNone(db, sql`state = 'pending'`, signal);
  if (world.asleep > 0) {
    say(`putting ${world.asleep} deliveries to sleep`);
    await publishMany(product, 'bench.sleep', world.asleep / SUBSCRIPTIONS);
    await untilDispatched(db, WARM_UP + world.asleep, signal);
    // None is about to be attempted; with the breaker, the others wait for theirs without having been told.
    const isBusy = sql`next_attempt_at is null and state = 'pending'`;
    await untilNone(db, world.breaker ? sql`${isBusy} and started_at is not null` : isBusy, signal);
  }
  say(`watching for ${world.watchMs / 1_000} s, twice`);
  await sleep(world.settleMs, undefined, { signal });
  const processes = { temporal: temporal.pid, postgres: stage.postgresPid };
  const first = await watchCpu({ worker: worker.pid, ...processes }, world.watchMs, signal);
  const temporalFileMiB = databaseMiB(temporal.dbFile);
  const temporalRssMiB = residentMiB(temporal.pid);
  const workerRssMiB = residentMiB(worker.pid);
  await worker.stop();
  const another = await cleanup.start(startOne);
  await sleep(world.settleMs, undefined, { signal });
  const second = await watchCpu({ worker: another.pid, ...processes }, world.watchMs, signal);
  const newWorkerRssMiB = residentMiB(another.pid);
  const { count } = await product.forgeflow.temporal.workflow.count('ExecutionStatus = "Running"');
  await another.stop();
  await temporal.stop();
  return {
    workerRssMiB,
    workerCpu: first.worker,
    newWorkerRssMiB,
    newWorkerCpu: second.worker,
    temporalRssMiB,
    temporalCpu: (first.temporal + second.temporal) / 2,
    temporalFileMiB,
    postgresCpu: (first.postgres + second.postgres) / 2,
    workflowsAsleep: count,
  };
}

async function publishMany({ forgeflow }: Product, topic: string, count: number): Promise<void> {
  const limit = pLimit(20);
  const publishing = Array.from({ length: count }, () =>
    limit(() => forgeflow.publish({ topic, data: PAYLOAD, json: true })),
  );
  await Promise.all(publishing);
}

async function untilDispatched(db: ForgeflowDatabase, deliveries: number, signal: AbortSignal): Promise<void> {
  while ((await count(db, sql`true`)) < deliveries) await sleep(50, undefined, { signal });
}

async function untilNone(db: ForgeflowDatabase, where: ReturnType<typeof sql>, signal: AbortSignal): Promise<void> {
  do await sleep(250, undefined, { signal });
  while ((await count(db, where)) > 0);
}

async function count(db: ForgeflowDatabase, where: ReturnType<typeof sql>): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from deliveries where ${where}`.execute(
    db,
  );
  return rows[0]?.count ?? 0;
}
