import { randomUUID } from 'node:crypto';
import type { Updateable } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  claimProbe,
  nominateProbe,
  recordFailure,
  type RecordedFailure,
  recordSuccesses,
} from '../../src/database/circuit-breaker.ts';
import type { SubscriptionTable } from '../../src/database/tables.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { insertPendingDelivery, subscriptionRow } from '../support/records.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 0, 1);
const at = (ms: number) => new Date(NOW + ms);

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

let subscriptionId: string;
let deliveryId: string;
beforeEach(async () => {
  ({ subscriptionId, deliveryId } = await insertPendingDelivery(database.db, 'https://example.com'));
});

const row = () => subscriptionRow(database.db, subscriptionId);
const set = (values: Updateable<SubscriptionTable>) =>
  database.db.updateTable('subscriptions').set(values).where('id', '=', subscriptionId).execute();
const fail = (failure: Partial<RecordedFailure> = {}) =>
  recordFailure(database.db, {
    subscriptionId,
    deliveryId,
    at: at(0),
    error: 'Bad HTTP response: 500',
    threshold: 5,
    nextProbeAt: at(5 * MINUTE),
    ...failure,
  });

const TRIPPED = { state: 'tripped', consecutive_failures: 5, tripped_at: at(0), last_error: 'x' } as const;

describe('books', () => {
  test('E6: a failure is counted, dated and remembered; a success forgets all but the date', async () => {
    await fail();
    await fail({ at: at(1_000), error: 'Connection error: connection refused' });
    expect(await row()).toMatchObject({
      state: 'active',
      consecutive_failures: 2,
      last_failure_at: at(1_000),
      last_error: 'Connection error: connection refused',
      last_success_at: null,
      tripped_at: null,
      next_probe_at: null,
    });
    await recordSuccesses(database.db, [{ subscriptionId, at: at(2_000) }]);
    expect(await row()).toMatchObject({
      state: 'active',
      consecutive_failures: 0,
      last_failure_at: at(1_000),
      last_error: null,
      last_success_at: at(2_000),
    });
  });

  test('E6: of many failures at once, none is lost', async () => {
    await Promise.all(Array.from({ length: 60 }, () => fail({ threshold: 1_000 })));
    expect((await row()).consecutive_failures).toBe(60);
  });

  test('E6: after a success, whatever came before it at the same time, the count is 0', async () => {
    await Promise.all(Array.from({ length: 20 }, () => fail({ threshold: 1_000 })));
    await recordSuccesses(database.db, [{ subscriptionId, at: at(0) }]);
    expect((await row()).consecutive_failures).toBe(0);
    await fail();
    expect((await row()).consecutive_failures).toBe(1);
    await recordSuccesses(database.db, [{ subscriptionId, at: at(1) }]); // right after the last one, and yet
    expect(await row()).toMatchObject({ consecutive_failures: 0, last_error: null });
  });

  test.each([
    ['x'.repeat(512), 'x'.repeat(512)],
    ['x'.repeat(513), 'x'.repeat(512)],
    ['ü'.repeat(100_000), 'ü'.repeat(512)],
  ])('E6: an error has 512 characters at most', async (error, kept) => {
    await fail({ error });
    expect((await row()).last_error).toBe(kept);
  });

  test('E6: an error cut off in the middle of a character is no fault', async () => {
    await fail({ error: `${'x'.repeat(511)}🎉` });
    expect((await row()).last_error).toMatch(/^x{511}/);
  });

  test('E6: attempts that were long on their way do not turn back the dates', async () => {
    await recordSuccesses(database.db, [{ subscriptionId, at: at(10_000) }]);
    await fail({ at: at(12_000) });
    await fail({ at: at(2_000) });
    await recordSuccesses(database.db, [{ subscriptionId, at: at(1_000) }]);
    expect(await row()).toMatchObject({ last_success_at: at(10_000), last_failure_at: at(12_000) });
  });

  test('E6: a burst of successes is written down once a second', async () => {
    for (const ms of [0, 200, 400, 999]) await recordSuccesses(database.db, [{ subscriptionId, at: at(ms) }]);
    expect((await row()).last_success_at).toEqual(at(0));
    await recordSuccesses(database.db, [{ subscriptionId, at: at(1_000) }]);
    expect((await row()).last_success_at).toEqual(at(1_000));
  });

  test('E6, E14: of failures that are told of together every one counts, and the rest is of the last', async () => {
    await fail({ count: 3, at: at(3_000), error: 'Bad HTTP response: 502' });
    await fail({ at: at(4_000) });
    expect(await row()).toMatchObject({
      state: 'active',
      consecutive_failures: 4,
      last_failure_at: at(4_000),
      last_error: 'Bad HTTP response: 500',
    });
    await Promise.all(Array.from({ length: 20 }, (_, n) => fail({ count: n + 1, threshold: 10_000 })));
    expect((await row()).consecutive_failures).toBe(4 + 210);
  });

  test('E6, E14: of successes that are told of together each counts for its subscription, and for no other', async () => {
    const { db } = database;
    const [good, worse, bystander] = await Promise.all(
      Array.from({ length: 3 }, () => insertPendingDelivery(db, 'https://example.com')),
    );
    for (const { subscriptionId: of, deliveryId: by } of [good!, worse!, bystander!])
      await fail({ subscriptionId: of, deliveryId: by, count: 2 });
    await db.updateTable('subscriptions').set(TRIPPED).where('id', '=', worse!.subscriptionId).execute();
    await recordSuccesses(db, [
      { subscriptionId: worse!.subscriptionId, at: at(2_000) },
      { subscriptionId: randomUUID(), at: at(9_000) },
      { subscriptionId: good!.subscriptionId, at: at(1_000) },
      { subscriptionId, at: at(3_000) },
    ]);
    const cleared = { state: 'active', consecutive_failures: 0, last_error: null, tripped_at: null };
    expect(await subscriptionRow(db, good!.subscriptionId)).toMatchObject({ ...cleared, last_success_at: at(1_000) });
    expect(await subscriptionRow(db, worse!.subscriptionId)).toMatchObject({ ...cleared, last_success_at: at(2_000) });
    expect(await row()).toMatchObject({ ...cleared, last_success_at: at(3_000) });
    expect(await subscriptionRow(db, bystander!.subscriptionId)).toMatchObject({
      consecutive_failures: 2,
      last_success_at: null,
    });
    await recordSuccesses(db, []);
  });

  test('E6, E14: many who tell of the same subscriptions at once do not block each other', async () => {
    const { db } = database;
    const all = [subscriptionId];
    while (all.length < 30) all.push((await insertPendingDelivery(db, 'https://example.com')).subscriptionId);
    const tell = async (ids: string[], ms: number): Promise<void> => {
      await recordSuccesses(
        db,
        ids.map((id) => ({ subscriptionId: id, at: at(ms) })),
      );
    };
    for (let round = 1; round <= 5; round++) {
      const each = [all, all.toReversed(), all.toSorted(), all.toSorted().toReversed()];
      await Promise.all([
        ...each.map((ids, n) => tell(ids, round * 10_000 + n * 2_000)),
        ...all.map((id) => fail({ subscriptionId: id, count: 2, threshold: 1_000 })),
      ]);
    }
    await tell(all, 99_000);
    for (const id of all)
      expect(await subscriptionRow(db, id)).toMatchObject({ consecutive_failures: 0, last_success_at: at(99_000) });
  });

  test('a subscription that is gone is no fault', async () => {
    await recordSuccesses(database.db, [{ subscriptionId: randomUUID(), at: at(0) }]);
    await fail({ subscriptionId: randomUUID() });
    expect((await row()).consecutive_failures).toBe(0);
  });
});

describe('the breaker', () => {
  test('E10: trips with the last of so many failures in a row, and is stamped', async () => {
    for (const ms of [1, 2, 3, 4]) await fail({ at: at(ms) });
    expect(await row()).toMatchObject({ state: 'active', consecutive_failures: 4, tripped_at: null });
    await fail({ at: at(5) });
    expect(await row()).toMatchObject({
      state: 'tripped',
      consecutive_failures: 5,
      tripped_at: at(5),
      next_probe_at: at(5 * MINUTE),
      probe_delivery_id: null,
    });
  });

  test.each([
    [4, 'active'],
    [5, 'tripped'],
    [50, 'tripped'],
  ] as const)('E10, E14: %i failures that are told of together leave it %s', async (count, state) => {
    await fail({ count, at: at(7) });
    expect(await row()).toMatchObject({
      state,
      consecutive_failures: count,
      tripped_at: state === 'tripped' ? at(7) : null,
      next_probe_at: state === 'tripped' ? at(5 * MINUTE) : null,
    });
  });

  test('E10, E14: the failures of a batch that was on its way when it tripped leave stamp and probe alone', async () => {
    await fail({ count: 5 });
    await fail({ count: 7, at: at(1_000), nextProbeAt: at(77 * MINUTE), deliveryId: randomUUID() });
    expect(await row()).toMatchObject({
      consecutive_failures: 12,
      tripped_at: at(0),
      next_probe_at: at(5 * MINUTE),
    });
  });

  test('E10: a success in between begins the count anew', async () => {
    for (let i = 0; i < 4; i++) await fail();
    await recordSuccesses(database.db, [{ subscriptionId, at: at(0) }]);
    for (let i = 0; i < 4; i++) await fail();
    expect((await row()).state).toBe('active');
  });

  test('E10: trips once, however many fail at once: the stamp and the time of the probe are the first one’s', async () => {
    for (let i = 0; i < 4; i++) await fail();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => fail({ at: at(100 + i), nextProbeAt: at(5 * MINUTE + 100 + i) })),
    );
    const { state, tripped_at, next_probe_at, consecutive_failures } = await row();
    expect({ state, consecutive_failures }).toEqual({ state: 'tripped', consecutive_failures: 24 });
    expect(next_probe_at!.getTime() - tripped_at!.getTime()).toBe(5 * MINUTE);
  });

  test('E10: a failed probe sets the time of the next one; other failures do not', async () => {
    const other = randomUUID();
    await set({ ...TRIPPED, next_probe_at: at(5 * MINUTE), probe_delivery_id: deliveryId });
    await fail({ deliveryId: other, nextProbeAt: at(77 * MINUTE) });
    expect(await row()).toMatchObject({ next_probe_at: at(5 * MINUTE), probe_delivery_id: deliveryId });
    await fail({ nextProbeAt: at(10 * MINUTE) });
    expect(await row()).toMatchObject({
      state: 'tripped',
      consecutive_failures: 7,
      tripped_at: at(0),
      next_probe_at: at(10 * MINUTE),
      probe_delivery_id: null,
    });
  });

  test('E10: any success closes it and clears what was stamped', async () => {
    await set({ ...TRIPPED, next_probe_at: at(5 * MINUTE), probe_delivery_id: randomUUID(), last_success_at: at(0) });
    await recordSuccesses(database.db, [{ subscriptionId, at: at(1) }]);
    expect(await row()).toMatchObject({
      state: 'active',
      consecutive_failures: 0,
      last_error: null,
      tripped_at: null,
      next_probe_at: null,
      probe_delivery_id: null,
    });
  });

  test('E10: a person who paused it is not overruled, by failures or by a success', async () => {
    await set({ state: 'paused' });
    for (let i = 0; i < 7; i++) await fail();
    expect(await row()).toMatchObject({ state: 'paused', tripped_at: null, consecutive_failures: 7 });
    await recordSuccesses(database.db, [{ subscriptionId, at: at(1) }]);
    expect(await row()).toMatchObject({ state: 'paused', consecutive_failures: 0 });
  });
});

describe('a probe', () => {
  const claim = (claimed = deliveryId, ms = 0) =>
    claimProbe(database.db, { subscriptionId, deliveryId: claimed, at: at(ms), leaseMs: 5 * MINUTE });

  test('E10: is claimed by one of many that want to go out', async () => {
    await set({ ...TRIPPED, next_probe_at: at(0) });
    const ids = Array.from({ length: 12 }, () => randomUUID());
    const claims = await Promise.all(ids.map((id) => claim(id)));
    expect(claims.filter((claimed) => claimed).length).toBe(1);
    expect(await row()).toMatchObject({
      probe_delivery_id: ids[claims.indexOf(true)],
      next_probe_at: at(5 * MINUTE),
    });
  });

  test('E10: is there when it is due and not before, and for another one when the lease is over', async () => {
    await set({ ...TRIPPED, next_probe_at: at(MINUTE) });
    expect(await claim(deliveryId, MINUTE - 1)).toBe(false);
    expect(await claim(deliveryId, MINUTE)).toBe(true);
    expect(await claim(deliveryId, MINUTE + 1)).toBe(true); // it is its own already
    const other = randomUUID();
    expect(await claim(other, 2 * MINUTE)).toBe(false);
    expect(await claim(other, 6 * MINUTE + 1)).toBe(true);
    expect(await claim(deliveryId, 6 * MINUTE + 2)).toBe(false);
  });

  test('E10: is there at once when nothing is said of its time', async () => {
    await set({ ...TRIPPED, next_probe_at: null });
    expect(await claim()).toBe(true);
  });

  test.each(['active', 'paused'] as const)('there is none of a subscription that is %s', async (state) => {
    await set({ state });
    expect(await claim()).toBe(false);
    await nominateProbe(database.db, deliveryId);
    expect(await row()).toMatchObject({ probe_delivery_id: null, next_probe_at: null });
  });

  test('E10: that somebody asked for goes out whenever the next one is due, and keeps the others back', async () => {
    await set({ ...TRIPPED, next_probe_at: at(MINUTE) });
    await nominateProbe(database.db, deliveryId);
    expect(await claim(randomUUID(), 2 * MINUTE)).toBe(false);
    expect(await claim(deliveryId, 0)).toBe(true);
  });
});
