import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenedSubscription, OpenedSubscriptions } from '../../activities/opened-subscriptions.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { deleteSubscription, subscriptionsVersion } from '../../src/database/subscriptions.ts';
import { changeSilently, cutBlocked, lockOf, quietActivity, untilBlocked, whileLocked } from '../support/batches.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { insertBatch, subscriptionRow, testSealer } from '../support/records.ts';

let database: TestDatabase;
let db: ForgeflowDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
  db = database.db;
});
afterAll(() => database.drop());

/** As long as a subscription is kept, and a little more, in ms. */
const KEPT_MS = 1_100;

const version = () => subscriptionsVersion(db);

async function insertSubscription(): Promise<string> {
  return (await insertBatch(db, 1)).subscriptionId;
}

async function change(id: string, values: Parameters<typeof updateOf>[1]): Promise<void> {
  await updateOf(id, values).execute();
}

function updateOf(
  id: string,
  values: { url?: string; state?: 'paused'; secret_sealed?: Buffer; headers_sealed?: Buffer },
) {
  return db.updateTable('subscriptions').set(values).where('id', '=', id);
}

/** Runs inside of an activity, where faults are logged. */
async function withSubscriptions<T>(work: (subscriptions: OpenedSubscriptions) => Promise<T>): Promise<T> {
  return quietActivity().run(() => work(new OpenedSubscriptions({ db, sealer: testSealer })));
}

const urlOf = (subscription: OpenedSubscription | null | undefined) => subscription?.url;

describe('a subscription that batches send to', () => {
  test('E14: comes with its secrets and headers opened', async () => {
    const id = await insertSubscription();
    await change(id, { headers_sealed: testSealer.seal('{"x-team":"blue"}') });
    const row = await subscriptionRow(db, id);
    expect(await withSubscriptions(async (subscriptions) => subscriptions.get(id, await version()))).toMatchObject({
      id,
      name: row.name,
      url: row.url,
      state: 'active',
      secrets: [testSealer.open(row.secret_sealed)],
      headers: { 'x-team': 'blue' },
    });
  });

  test('E14: is used as it was read while no subscription has changed, and read anew once one has', async () => {
    const [id, other] = [await insertSubscription(), await insertSubscription()];
    await withSubscriptions(async (subscriptions) => {
      const before = await version();
      const { url } = (await subscriptions.get(id, before))!;
      await changeSilently(db, id, { url: 'https://example.com/unheard' });
      expect(urlOf(await subscriptions.get(id, before))).toBe(url);
      expect(urlOf(await subscriptions.get(id, '0'))).toBe(url);
      await change(other, { url: 'https://example.com/other' });
      expect(urlOf(await subscriptions.get(id, await version()))).toBe('https://example.com/unheard');
    });
  });

  test('E14 D8: is read anew for a delivery that was made after it had changed, and is then so for all', async () => {
    const id = await insertSubscription();
    await withSubscriptions(async (subscriptions) => {
      const before = await version();
      expect(await subscriptions.get(id, before)).toMatchObject({ state: 'active' });
      await change(id, { state: 'paused', url: 'https://example.com/new' });
      const changed = { state: 'paused', url: 'https://example.com/new' };
      expect(await subscriptions.get(id, await version())).toMatchObject(changed);
      expect(await subscriptions.get(id, before)).toMatchObject(changed);
    });
  });

  test('E14: is compared by its version as a number, not as a word', async () => {
    const id = await insertSubscription();
    while (BigInt(await version()) < 10n) await insertSubscription();
    await withSubscriptions(async (subscriptions) => {
      const { url } = (await subscriptions.get(id, await version()))!;
      await changeSilently(db, id, { url: 'https://example.com/unheard' });
      expect(urlOf(await subscriptions.get(id, '9'))).toBe(url);
    });
  });

  test('E14: is kept for a second at most, whatever nobody was told of', async () => {
    const id = await insertSubscription();
    await withSubscriptions(async (subscriptions) => {
      await subscriptions.get(id, await version());
      await changeSilently(db, id, { url: 'https://example.com/unheard' });
      await sleep(KEPT_MS);
      expect(urlOf(await subscriptions.get(id, await version()))).toBe('https://example.com/unheard');
    });
  });

  test('E14 D8: that is gone is undefined, also where it was kept before', async () => {
    const id = await insertSubscription();
    await withSubscriptions(async (subscriptions) => {
      expect(await subscriptions.get(randomUUID(), await version())).toBeUndefined();
      expect(await subscriptions.get(id, await version())).toMatchObject({ id });
      await deleteSubscription(db, `s-${id}`);
      expect(await subscriptions.get(id, await version())).toBeUndefined();
    });
  });

  test.each([
    ['whose secret does not open', { secret_sealed: Buffer.from('no secret of ours') }],
    ['whose headers do not open', { headers_sealed: Buffer.from('no headers of ours') }],
    ['whose headers are no JSON', { headers_sealed: testSealer.seal('{') }],
  ])('E14: %s is null, until somebody mends it', async (_what, broken) => {
    const id = await insertSubscription();
    const { secret_sealed, headers_sealed } = await subscriptionRow(db, id);
    await change(id, broken);
    await withSubscriptions(async (subscriptions) => {
      expect(await subscriptions.get(id, await version())).toBeNull();
      expect(await subscriptions.get(id, await version())).toBeNull();
      await change(id, { secret_sealed, headers_sealed });
      expect(await subscriptions.get(id, await version())).toMatchObject({ id });
    });
  });
});

describe('several of them', () => {
  test('E14: that are asked for in one turn are all answered, each with what it is', async () => {
    const [good, broken, other] = [await insertSubscription(), await insertSubscription(), await insertSubscription()];
    await change(broken, { secret_sealed: Buffer.from('no secret of ours') });
    const now = await version();
    const asked = [good, broken, randomUUID(), other, good];
    const found = await withSubscriptions((subscriptions) =>
      Promise.all(asked.map((id) => subscriptions.get(id, now))),
    );
    expect(found.map((one) => (one ? one.id : one))).toEqual([good, null, undefined, other, good]);
  });

  test('E14: that are asked for while others are being read do not wait for the next change, and all are answered', async () => {
    const ids = [await insertSubscription(), await insertSubscription(), await insertSubscription()];
    const now = await version();
    await withSubscriptions(async (subscriptions) => {
      const asked = await whileLocked(db, lockOf('subscriptions'), async () => {
        const first = subscriptions.get(ids[0]!, now);
        await untilBlocked(db, 1);
        const others = [
          subscriptions.get(ids[1]!, now),
          subscriptions.get(ids[2]!, now),
          subscriptions.get(ids[0]!, now),
        ];
        await untilBlocked(db, 2);
        return [first, ...others];
      });
      expect((await Promise.all(asked)).map((one) => one?.id)).toEqual([...ids, ids[0]]);
    });
  });

  test('E14: a database that does not answer is a fault for all who asked, and for nobody later', async () => {
    const [one, other] = [await insertSubscription(), await insertSubscription()];
    const now = await version();
    await withSubscriptions(async (subscriptions) => {
      const asked = await whileLocked(db, lockOf('subscriptions'), async () => {
        const answers = Promise.allSettled([subscriptions.get(one, now), subscriptions.get(other, now)]);
        await cutBlocked(db);
        return answers;
      });
      expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      expect(await subscriptions.get(one, now)).toMatchObject({ id: one });
    });
  });
});

describe('a former secret', () => {
  test('E14: stops signing when it expires, although nothing has changed by then', async () => {
    const id = await insertSubscription();
    const row = await subscriptionRow(db, id);
    const [former, current] = [testSealer.open(row.secret_sealed), 'whsec_bmV3IG9uZSBuZXcgb25lIG5ldyBvbmU='];
    await withSubscriptions(async (subscriptions) => {
      const expiry = Date.now() + 400;
      await db
        .updateTable('subscriptions')
        .set({
          secret_sealed: testSealer.seal(current),
          previous_secret_sealed: row.secret_sealed,
          previous_secret_expires_at: new Date(expiry),
        })
        .where('id', '=', id)
        .execute();
      const now = await version();
      expect(await subscriptions.get(id, now)).toMatchObject({ secrets: [current, former] });
      await sleep(expiry - Date.now() + 5);
      expect(await subscriptions.get(id, now)).toMatchObject({ secrets: [current] });
      expect(await subscriptions.get(id, now)).toMatchObject({ secrets: [current] });
    });
  });
});
