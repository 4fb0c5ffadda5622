import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Relay, type RelayOptions, startRelay } from '../../src/bus/relay.ts';
import { insertSubscription } from '../../src/database/subscriptions.ts';
import { OpenBatches } from '../../src/egress/open-batches.ts';
import { generateSecret } from '../../src/egress/sign.ts';
import { connectWorkers, type WorkerConnection } from '../../src/temporal/worker-connection.ts';
import { DEAD_URL, deliveryOf, handleOf, subscribe, untilDispatched } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { startReceiver } from '../support/receiver.ts';
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

/** Without workers: what is shown of the relay is what it writes, and what it tells Temporal. */
let environment: Environment;
let temporal: WorkerConnection;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
  temporal = await connectWorkers(environment.config);
});
afterAll(async () => {
  await temporal.connection.close();
  await environment.stop();
});

const relays: Relay[] = [];
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});

/** So seldom that it does not happen in a test. */
const NEVER_MS = 3_600_000;

/** A relay that looks at nothing by itself, but when it is told to. */
function relay(options: Partial<RelayOptions> = {}): RecordingLogger & { stops: () => number; relay: Relay } {
  const { database } = environment;
  const log = recordingLogger();
  let stops = 0;
  const started = startRelay({
    db: database.db,
    databaseUrl: database.url,
    temporal: temporal.client,
    logger: log.logger,
    expressBacklog: 100,
    openBatches: new OpenBatches(),
    workerName: 'relay of a test',
    onStop: () => (stops += 1),
    ...options,
    intervals: { poll: NEVER_MS, reload: NEVER_MS, health: NEVER_MS, strays: NEVER_MS, ...options.intervals },
  });
  relays.push(started);
  return { ...log, stops: () => stops, relay: started };
}

/** The connections of relays that hear whatever is notified. */
async function listeners(): Promise<number[]> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity where application_name = 'forgeflow relay' and datname = current_database()
      and query = 'listen "forgeflow_control"' and state = 'idle' -- the last thing that they say
  `.execute(environment.database.db);
  return rows.map(({ pid }) => pid);
}

async function untilListening(count = 1): Promise<number[]> {
  await expect.poll(async () => (await listeners()).length, { timeout: 20_000 }).toBe(count);
  return listeners();
}

/** Cuts the connection of the one relay that there is. */
async function cutListener(): Promise<void> {
  const [pid] = await untilListening();
  await sql`select pg_terminate_backend(${pid})`.execute(environment.database.db);
  await expect.poll(listeners, { timeout: 20_000 }).not.toContain(pid);
}

async function publish(topic: string, data: unknown = 1): Promise<string> {
  return (await environment.forgeflow.publish({ topic, data })).eventId;
}

const countOf = async (name: string) =>
  (await environment.forgeflow.deliveries.list({ subscription: name, limit: 1_000 })).length;

describe('a notification', () => {
  test('E1: of an event makes its deliveries and starts their workflows', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    relay();
    await untilListening();
    const delivery = await deliveryOf(forgeflow, await publish(name), name);
    const { type } = await eventually(() => handleOf(forgeflow, delivery.id).describe());
    expect(type).toBe('deliverWebhook');
  });

  test('E2: of an application’s own transaction comes with its commit', async () => {
    const { forgeflow, database } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    relay();
    await untilListening();
    const application = new pg.Client({ connectionString: database.url });
    await application.connect();
    await application.query('begin');
    await application.query(`insert into events (topic, payload) select $1, n::text from generate_series(1, 30) n`, [
      name,
    ]);
    await untilDispatched(database, await publish('something.else')); // so the relay has looked meanwhile
    expect(await countOf(name)).toBe(0);
    await application.query('commit');
    await application.end();
    await expect.poll(() => countOf(name), { timeout: 20_000 }).toBe(30);
  });

  test('E2: that is lost costs latency: the relay looks by itself', async () => {
    const { forgeflow, database } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    relay({ intervals: { poll: 100 } });
    await untilListening();
    await sql`alter table events disable trigger user`.execute(database.db);
    try {
      await deliveryOf(forgeflow, await publish(name), name);
    } finally {
      await sql`alter table events enable trigger user`.execute(database.db);
    }
  });

  test('E2 E8: that comes while the listening connection is cut is made up for; the cut is one warning', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    const { messages } = relay();
    for (let cut = 1; cut <= 3; cut++) {
      await cutListener();
      await deliveryOf(forgeflow, await publish(name), name);
    }
    await untilListening();
    await expect.poll(() => messages('INFO').length).toBe(3);
    expect(messages('WARN', 'ERROR', 'INFO')).toEqual(
      Array.from({ length: 3 }, () => [
        'the bus is idle until Postgres and Temporal answer again',
        'the bus is at work again',
      ]).flat(),
    );
  });
});

test('E2: two relays share the events, and make each delivery once', async () => {
  const { forgeflow, database } = environment;
  const { name } = await subscribe(forgeflow, DEAD_URL);
  relay();
  relay();
  await untilListening(2);
  await Promise.all(Array.from({ length: 60 }, (_, n) => publish(name, n)));
  await expect.poll(() => countOf(name), { timeout: 20_000 }).toBe(60);
  const { rows } = await sql`select from events where dispatched_at is null`.execute(database.db);
  expect(rows.length).toBe(0);
});

describe('control and health', () => {
  test('E9: {"action":"stop"} stops every worker, once; all else is ignored', async () => {
    const [one, other] = [relay(), relay()];
    await untilListening(2);
    for (const data of ['stop', { action: 'restart' }, { action: 5 }, null, ['stop']]) {
      await publish('system.webhook.control', data);
    }
    await publish('system.webhook.controls', { action: 'stop' });
    await untilDispatched(environment.database, await publish('another', { action: 'stop' }));
    expect([one.stops(), other.stops()]).toEqual([0, 0]);
    await publish('system.webhook.control', { action: 'stop' });
    await publish('system.webhook.control', { action: 'stop' });
    await expect.poll(() => [one.stops(), other.stops()], { timeout: 20_000 }).toEqual([1, 1]);
    await untilDispatched(environment.database, await publish('another')); // it is for the worker to stop it
    expect([one.stops(), other.stops()]).toEqual([1, 1]);
  });

  test('E9: a stop that comes while the listening connection is cut is heard afterwards', async () => {
    const { database } = environment;
    const { stops, lines } = relay();
    await untilListening();
    // What is older than the worker is not meant for it, so it has to know by now since when to read.
    await untilDispatched(database, await publish('another'));
    await cutListener();
    await publish('system.webhook.control', { action: 'stop' });
    await expect.poll(stops, { timeout: 20_000 }).toBe(1);
    expect(lines.filter(({ message }) => message === 'the bus asks this worker to stop').length).toBe(1);
  });

  test('E9: health is told at once and then again and again, with the worker’s name and the time', async () => {
    const { forgeflow, database } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL, { patterns: ['system.webhook.health'] });
    relay({ workerName: 'a worker', intervals: { health: 50 } });
    await expect.poll(() => countOf(name), { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    const rows = await database.db
      .selectFrom('events')
      .select('payload')
      .where('topic', '=', 'system.webhook.health')
      .execute();
    const told = rows
      .map(({ payload }) => JSON.parse(payload) as { worker: string; time: string })
      .filter(({ worker }) => worker === 'a worker');
    expect(told.length).toBeGreaterThanOrEqual(3);
    for (const { time } of told) expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
    await forgeflow.subscriptions.delete(name);
  });
});

test('E9: a relay that is stopped takes nothing more off the bus, and leaves no connection behind', async () => {
  const { forgeflow, database } = environment;
  const { name } = await subscribe(forgeflow, DEAD_URL);
  const first = relay({ intervals: { poll: 20 } });
  await untilListening();
  await first.relay.stop();
  expect(await listeners()).toEqual([]);
  const eventId = await publish(name);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await countOf(name)).toBe(0);
  relay();
  await untilDispatched(database, eventId);
  expect(await countOf(name)).toBe(1);
});

describe('a worker process', () => {
  let own: Environment;
  let worker: WorkerProcess | undefined;
  beforeAll(async () => {
    own = await startEnvironment({ withoutWorkers: true });
  });
  afterAll(async () => {
    worker?.kill('SIGKILL');
    await worker?.ended;
    await own.stop();
  });

  test('E1 E2 E7 E9: delivers what was published before it came, whatever malformed rows there are, until the bus stops it', async () => {
    const { forgeflow, database, sealer, variables } = own;
    const receiver = await startReceiver();
    const name = `s${randomUUID().slice(0, 8)}`;
    const good = {
      url: receiver.url,
      patterns: [name],
      headersSealed: sealer.seal('{}'),
      secretSealed: sealer.seal(generateSecret()),
    };
    const bad = {
      // First, so that it is also the first one that the worker tries its key on.
      'a secret that does not open': { secretSealed: Buffer.from('nonsense') },
      'no patterns': { patterns: [] },
      'a bad pattern': { patterns: [name, 'a.>.b'] },
      'no URL': { url: 'no URL at all' },
      'a URL of another kind': { url: 'ftp://127.0.0.1/' },
      'headers that do not open': { headersSealed: Buffer.alloc(40) },
    };
    for (const [what, columns] of Object.entries(bad)) {
      await insertSubscription(database.db, { id: randomUUID(), name: `${name} ${what}`, ...good, ...columns });
    }
    await subscribe(forgeflow, receiver.url, { name, patterns: [name] });
    const publishOne = (data: number) => forgeflow.publish({ topic: name, data });
    for (let n = 0; n < 10; n++) await publishOne(n);
    await sql`insert into events (topic, payload) select ${name}, n::text from generate_series(10, 19) n`.execute(
      database.db,
    );

    worker = await startWorkerProcess(variables);
    const delivered = () => forgeflow.deliveries.list({ subscription: name, state: 'delivered', limit: 100 });
    await expect.poll(async () => (await delivered()).length, { timeout: 30_000 }).toBe(20);
    const numbers = () => receiver.requests.map(({ rawBody }) => Number(rawBody.toString())).toSorted((a, b) => a - b);
    expect(numbers()).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await expect
      .poll(async () => (await forgeflow.subscriptions.show(`${name} no URL`)).lastError, { timeout: 20_000 })
      .toMatch(/^Connection error: URL not allowed/);
    await publishOne(20);
    await expect.poll(async () => (await delivered()).length, { timeout: 30_000 }).toBe(21);

    const deliveriesTo = async (what: string) =>
      (await forgeflow.deliveries.list({ subscription: `${name} ${what}`, limit: 100 })).filter((one) => one.pending);
    const waiting = await Promise.all(Object.keys(bad).map(deliveriesTo));
    expect(waiting.map(({ length }) => length)).toEqual([21, 0, 0, 21, 21, 21]); // until somebody mends them
    expect(worker.log()).toContain('a malformed subscription gets no events');

    await forgeflow.publish({ topic: 'system.webhook.control', data: { action: 'dance' } });
    await publishOne(21);
    await expect.poll(async () => (await delivered()).length, { timeout: 30_000 }).toBe(22);
    await forgeflow.publish({ topic: 'system.webhook.control', data: { action: 'stop' } });
    expect(await worker.ended).toBe(0);
    await receiver.close();
  });
});
