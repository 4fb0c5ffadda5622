import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cleanup } from '../../scripts/bench/cleanup.ts';
import { makeHome } from '../../scripts/chaos/home.ts';
import { type Services, startServices } from '../../scripts/chaos/services.ts';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { loadConfig } from '../../src/config.ts';
import { subscribe } from '../support/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { spawnWorker, startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const IDLE_AT_START = 'the worker is idle until its services answer';
const IDLE = 'the bus is idle until Postgres and Temporal answer again';
const AT_WORK_AGAIN = 'the bus is at work again';
/** Of a worker by default: the longest attempt and 5 s. */
const GRACE_MS = 15_000;
const AWAY_MS = 3_000;
/** Temporal's client tries for 10 s before it says that the server is away. */
const TEMPORAL_AWAY_MS = 12_000;

/** All that a worker stands on, of which one part goes away. */
interface World {
  services: Services;
  variables: Record<string, string>;
  forgeflow: ForgeflowClient;
  receiver: Receiver;
  topic: string;
}

const cleanup = new Cleanup();

async function startWorld(): Promise<World> {
  const home = makeHome('forgeflow-test-away-');
  cleanup.add(() => {
    home.isWorthKeeping = false;
    home.clear();
  });
  const services = await startServices(home.path, cleanup, () => undefined);
  const variables = {
    DATABASE_URL: services.databaseUrl,
    TEMPORAL_ADDRESS: services.temporalAddress,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
  };
  const forgeflow = await ForgeflowClient.connect(loadConfig(variables, home.path));
  const receiver = await startReceiver();
  const { name: topic } = await subscribe(forgeflow, receiver.url);
  cleanup.add(() => forgeflow.close());
  cleanup.add(() => receiver.close());
  return { services, variables, forgeflow, receiver, topic };
}

// One for each service, so that what is done to both can be done at once: most of it is waiting.
let worlds: Record<(typeof outages)[number]['service'], World>;
beforeAll(async () => {
  const [Postgres, Temporal] = await Promise.all([startWorld(), startWorld()]);
  worlds = { Postgres, Temporal };
});
afterAll(() => cleanup.run());

function started(worker: WorkerProcess): WorkerProcess {
  cleanup.add(async () => {
    worker.kill('SIGKILL');
    await worker.ended;
  });
  return worker;
}

const timesSaid = (worker: WorkerProcess, message: string): number => worker.log().split(message).length - 1;

async function publishSome({ forgeflow, topic }: World, count: number): Promise<string[]> {
  const published = await Promise.all(Array.from({ length: count }, () => forgeflow.publish({ topic, data: {} })));
  return published.map(({ eventId }) => eventId);
}

async function untilAllDelivered({ forgeflow, receiver, topic }: World, ids: string[]): Promise<void> {
  await eventually(async () => {
    const deliveries = await forgeflow.deliveries.list({ subscription: topic, state: 'delivered', limit: 1000 });
    const delivered = new Set(deliveries.map(({ eventId }) => eventId));
    const missing = ids.filter((id) => !delivered.has(id));
    if (missing.length > 0) throw new Error(`${missing.length} of ${ids.length} events are not delivered`);
  }, 40_000);
  const received = new Set(receiver.requests.map(({ headers }) => headers['x-forgeflow-event-id']));
  expect(ids.filter((id) => !received.has(id))).toEqual([]);
}

async function endsInOrder(worker: WorkerProcess): Promise<void> {
  worker.kill('SIGTERM');
  expect(await worker.ended).toBe(0);
}

const outages = [
  {
    service: 'Postgres',
    stop: ({ services }: World) => services.stopPostgres(),
    start: ({ services }: World) => services.startPostgres(),
  },
  {
    service: 'Temporal',
    stop: ({ services }: World) => services.killTemporal(),
    start: ({ services }: World) => services.startTemporal(),
  },
] as const;

describe('E8: away at the start', () => {
  test.concurrent.each(outages)(
    'E8 $service is away when a worker starts: it stays up, idle, warns once, and begins when it is back',
    async ({ service, stop, start }) => {
      const world = worlds[service];
      await stop(world);
      const worker = started(spawnWorker(world.variables));
      await eventually(() => {
        if (timesSaid(worker, IDLE_AT_START) === 0) throw new Error(`it does not warn: ${worker.log()}`);
        return Promise.resolve();
      });
      await sleep(AWAY_MS);
      await start(world);
      expect(await worker.atWork).toBe(true);
      expect(timesSaid(worker, IDLE_AT_START)).toBe(1);
      await untilAllDelivered(world, await publishSome(world, 10));
      await endsInOrder(worker);
    },
  );
});

describe('E8: away in the midst', () => {
  test.concurrent.each(outages)(
    'E8 $service goes away while events flow: the worker stays up, warns once, says when it goes on, and nothing is lost',
    async ({ service, stop, start }) => {
      const world = worlds[service];
      const worker = started(await startWorkerProcess(world.variables));
      const before = world.receiver.requests.length;
      const ids = await publishSome(world, 60);
      await world.receiver.waitForRequests(before + 20);
      await stop(world);
      if (service === 'Temporal') ids.push(...(await publishSome(world, 20))); // publishing needs Postgres alone
      await sleep(service === 'Temporal' ? TEMPORAL_AWAY_MS : AWAY_MS);
      await start(world);
      await untilAllDelivered(world, ids);
      await untilAllDelivered(world, await publishSome(world, 10));
      await eventually(() => {
        if (timesSaid(worker, AT_WORK_AGAIN) === 0) throw new Error('it does not say that it is at work again');
        return Promise.resolve();
      });
      expect([timesSaid(worker, IDLE), timesSaid(worker, AT_WORK_AGAIN)]).toEqual([1, 1]);
      await endsInOrder(worker);
    },
  );
});

describe('E9: away at the end', () => {
  test.concurrent.each(outages)(
    'E9 SIGTERM while $service is away, with attempts in flight: exit 0 within the grace time, and nothing is lost',
    async ({ service, stop, start }) => {
      const world = worlds[service];
      const worker = started(await startWorkerProcess(world.variables));
      world.receiver.answerWith({ delayMs: 1_000 });
      const before = world.receiver.requests.length;
      const ids = await publishSome(world, 40);
      await world.receiver.waitForRequests(before + 1);
      await stop(world);
      const askedAt = Date.now();
      worker.kill('SIGTERM');
      const exit = await worker.ended;
      const tookMs = Date.now() - askedAt;
      world.receiver.answerWith(200);
      await start(world);
      expect(exit).toBe(0);
      expect(tookMs).toBeLessThan(GRACE_MS + 5_000);
      const next = started(await startWorkerProcess(world.variables));
      await untilAllDelivered(world, ids);
      await endsInOrder(next);
    },
    120_000,
  );
});
