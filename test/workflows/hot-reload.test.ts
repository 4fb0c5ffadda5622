import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Relay, startRelay } from '../../src/bus/relay.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { OpenBatches } from '../../src/egress/open-batches.ts';
import { connectWorkers, type WorkerConnection } from '../../src/temporal/worker-connection.ts';
import { deliverTo, subscribe, untilDelivery, untilDispatched } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let environment: Environment;
/** As in another worker process: a relay on connections of its own. */
let second: { relay: Relay; db: ForgeflowDatabase; temporal: WorkerConnection };
beforeAll(async () => {
  environment = await startEnvironment({ intervals: { reload: 400 } });
  const { config, database } = environment;
  const [db, temporal] = [openDatabase(database.url), await connectWorkers(config)];
  const relay = startRelay({
    db,
    databaseUrl: database.url,
    temporal: temporal.client,
    logger: recordingLogger().logger,
    expressBacklog: 100,
    openBatches: new OpenBatches(),
    workerName: 'second',
    onStop: () => undefined,
    intervals: { reload: 400 },
  });
  second = { relay, db, temporal };
});
afterAll(async () => {
  await second.relay.stop();
  await second.temporal.connection.close();
  await second.db.destroy();
  await environment.stop();
});

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const numbersOf = (receiver: Receiver): number[] =>
  receiver.requests.map(({ rawBody }) => Number(rawBody.toString())).toSorted((a, b) => a - b);

test('E4: from the commit of a change on the receiver gets what the new patterns say, while events flow through two relays', async () => {
  const { forgeflow } = environment;
  const [receiver, control] = [await startReceiver(), await startReceiver()];
  const { name } = await subscribe(forgeflow, receiver.url);
  await subscribe(forgeflow, control.url, { patterns: [`${name}.>`] });
  let last = 0;
  let over = false;
  const isOver = () => over;
  const publisher = async (): Promise<void> => {
    while (!isOver()) {
      const n = ++last;
      await forgeflow.publish({ topic: `${name}.${n % 2 === 0 ? 'even' : 'odd'}`, data: n });
      // As fast as this machine delivers, and some on their way all the time.
      while (last - control.requests.length > 12) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const publishing = [publisher(), publisher(), publisher()];
  /** Which are wanted of which numbers; those on their way during a change may follow either. */
  const wanted: { from: number; to: number; rest: number }[] = [];
  try {
    for (const rest of [0, 1, 0]) {
      await forgeflow.subscriptions.update(name, { patterns: [`${name}.${rest === 0 ? 'even' : 'odd'}`] });
      const from = last + 1;
      await expect.poll(() => last, { timeout: 20_000 }).toBeGreaterThan(from + 15);
      // What was published by now is to be dispatched before the next change comes.
      const to = last;
      const missing = () => {
        const arrived = new Set(numbersOf(control));
        return range(1, to).filter((n) => !arrived.has(n));
      };
      await expect.poll(missing, { timeout: 20_000 }).toEqual([]);
      wanted.push({ from, to, rest });
    }
  } finally {
    over = true;
    await Promise.all(publishing);
  }
  await control.waitForRequests(last, 20_000);
  expect(numbersOf(control)).toEqual(range(1, last)); // reloading lost none of them, and doubled none
  for (const { from, to, rest } of wanted) {
    const inTime = () => numbersOf(receiver).filter((n) => n >= from && n <= to);
    await expect.poll(inTime, { timeout: 20_000 }).toEqual(range(from, to).filter((n) => n % 2 === rest));
  }
  await Promise.all([receiver.close(), control.close()]);
});

describe('a lost signal', () => {
  const triggers = (what: 'enable' | 'disable', table: string) =>
    sql`alter table ${sql.table(table)} ${sql.raw(what)} trigger user`.execute(environment.database.db);

  test('E4: costs latency: a change that nobody was told of, and that left no trace, is found by the reload', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const { name } = await subscribe(forgeflow, receiver.url);
    const topic = `${name}.else`;
    await untilDispatched(database, (await forgeflow.publish({ topic, data: 'too early' })).eventId);
    await triggers('disable', 'subscriptions');
    await forgeflow.subscriptions
      .update(name, { patterns: [topic] })
      .finally(() => triggers('enable', 'subscriptions'));
    // Both relays read again within the interval.
    await expect
      .poll(
        async () => {
          await forgeflow.publish({ topic, data: 'now' });
          return receiver.requests.length;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    expect(receiver.requests[0]!.rawBody.toString()).toBe('"now"');
    await receiver.close();
  });
});

test('E4 E10: who subscribes to system.webhook.subscriptions_changed hears of every kind of change', async () => {
  const { forgeflow } = environment;
  const [receiver, failing] = [await startReceiver(), await startReceiver({ answer: 500 })];
  const { name: listener } = await subscribe(forgeflow, receiver.url, {
    patterns: ['system.webhook.subscriptions_changed'],
  });
  const { id, subscription } = await deliverTo(forgeflow, failing.url);
  const { name } = subscription;
  await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
  for (let n = 2; n <= 5; n++) {
    await forgeflow.deliveries.retry(id);
    await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === n);
  }
  await expect.poll(async () => (await forgeflow.subscriptions.show(name)).state).toBe('tripped');
  await forgeflow.subscriptions.enable(name);
  await forgeflow.subscriptions.update(name, { patterns: ['x'] });
  await forgeflow.subscriptions.pause(name);
  await forgeflow.subscriptions.delete(name);

  const heard = () =>
    receiver.requests
      .map(({ rawBody }) => JSON.parse(rawBody.toString()) as { subscription: string; change: string; state: string })
      .filter((one) => one.subscription === name)
      .map(({ change, state }) => `${change}: ${state}`)
      .toSorted();
  await expect
    .poll(heard, { timeout: 20_000 })
    .toEqual(
      [
        'created: active',
        'tripped: tripped',
        'enabled: active',
        'changed: active',
        'paused: paused',
        'deleted: paused',
      ].toSorted(),
    );
  await forgeflow.subscriptions.delete(listener);
  await Promise.all([receiver.close(), failing.close()]);
});
