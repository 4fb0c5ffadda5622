import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Handed, type OpenBatch, OpenBatches } from '../../src/egress/open-batches.ts';

/** Longer than an idle batch stays open, in ms. */
const IDLE_MS = 200;

interface WatchedBatch extends OpenBatch {
  isClosed: boolean;
  /** The ids of the deliveries that it was handed. */
  got: string[];
}

function open(batches: OpenBatches, id: string, { taken = 0 } = {}): WatchedBatch {
  const got: string[] = [];
  const batch = batches.open(id, taken, ({ deliveries }) => got.push(...deliveries.map((one) => one.id)));
  const watched = { ...batch, isClosed: false, got };
  void batch.closed.then(() => (watched.isClosed = true));
  return watched;
}

function handed(...ids: string[]): Handed {
  const deliveries = ids.map((id) => {
    return {
      id,
      number: 1,
      windowStartedAt: null,
      eventId: `event of ${id}`,
      topic: 'a',
      payload: '1',
      subscriptionId: 's',
    };
  });
  return { deliveries, version: '1' };
}

/** What was resolved has been heard of by then. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('places', () => {
  test('E14: the newest batch is filled first, and what is kept by one is not given to another', () => {
    const batches = new OpenBatches();
    open(batches, 'one', { taken: 90 });
    open(batches, 'two', { taken: 97 });
    expect(batches.free).toBe(13);
    const mine = batches.reserve(5);
    expect(mine.slots).toEqual([
      { batchId: 'two', places: 3 },
      { batchId: 'one', places: 2 },
    ]);
    expect([batches.free, batches.reserve(100).slots]).toEqual([8, [{ batchId: 'one', places: 8 }]]);
    expect(batches.reserve(1).slots).toEqual([]);
    batches.close();
  });

  test('E14: none is kept where none is asked for', () => {
    const batches = new OpenBatches();
    open(batches, 'one');
    expect([batches.reserve(0).slots, batches.free]).toEqual([[], 100]);
    batches.close();
  });

  test('E14: those that were not taken are free again, and only once', () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', { taken: 95 });
    const places = batches.reserve(4);
    places.hand('one', handed('a', 'b'));
    expect([batches.free, batch.got]).toEqual([1, ['a', 'b']]);
    places.release();
    places.release();
    expect(batches.free).toBe(3);
    batches.close();
  });

  test('E14: those of deliveries that are over are free again', () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', { taken: 100 });
    expect([batches.free, batches.reserve(1).slots]).toEqual([0, []]);
    batch.leave(30);
    expect([batches.free, batches.reserve(100).slots]).toEqual([30, [{ batchId: 'one', places: 30 }]]);
    batches.close();
  });

  test('E14: a batch that has taken over more than it has places for has none before these are over', () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', { taken: 80 });
    batch.leave(-70);
    expect([batches.free, batches.reserve(1).slots]).toEqual([0, []]);
    batch.leave(60);
    expect(batches.free).toBe(10);
    batches.close();
  });

  test('E14: whoever waits for some hears of them, or is told that the time is up', async () => {
    const batches = new OpenBatches();
    const begun = Date.now();
    const [few, many] = [batches.whenFree(20, 5_000), batches.whenFree(60, 5_000)];
    const batch = open(batches, 'one', { taken: 70 });
    await few;
    batch.leave(40);
    await many;
    await batches.whenFree(70, 5_000);
    expect(Date.now() - begun).toBeLessThan(1_000);
    await batches.whenFree(71, 50);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(45);
    batches.close();
  });
});

describe('the end of a batch', () => {
  test('E14: waits for deliveries that are just being written down, whatever asks for it', async () => {
    const batches = new OpenBatches();
    const [one, two] = [open(batches, 'one'), open(batches, 'two')];
    const places = batches.reserve(150);
    one.close();
    batches.close();
    await sleep(IDLE_MS);
    expect([one.isClosed, two.isClosed]).toEqual([false, false]);
    places.hand('one', handed('a'));
    places.hand('two', handed('b'));
    places.release();
    await settled();
    expect([one.isClosed, two.isClosed, one.got, two.got]).toEqual([true, true, ['a'], ['b']]);
  });

  test('E14: comes soon where nothing is in hand, and not before', async () => {
    const batches = new OpenBatches();
    const [idle, begun, used] = [open(batches, 'idle'), open(batches, 'begun', { taken: 1 }), open(batches, 'used')];
    const places = batches.reserve(1);
    expect(places.slots).toEqual([{ batchId: 'used', places: 1 }]);
    places.hand('used', handed('a'));
    places.release();
    await sleep(IDLE_MS);
    expect([idle, begun, used].map(({ isClosed }) => isClosed)).toEqual([true, false, false]);
    begun.leave(1);
    used.leave(1);
    await settled();
    expect([begun, used].map(({ isClosed }) => isClosed)).toEqual([false, false]); // more may come
    await sleep(IDLE_MS);
    expect([begun, used].map(({ isClosed }) => isClosed)).toEqual([true, true]);
    expect(batches.free).toBe(0);
  });

  test('E14: comes after some seconds however much is handed over, so that its workflow is not renewed for ever', async () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one');
    const begun = Date.now();
    let ahead = Infinity;
    while (!batch.isClosed && Date.now() - begun < 10_000) {
      const places = batches.reserve(1);
      if (places.slots.length > 0) {
        places.hand('one', handed('a'));
        ahead = batches.ahead;
        batch.leave(1);
      }
      places.release();
      await sleep(20);
    }
    expect(Date.now() - begun).toBeGreaterThan(2_500);
    expect(Date.now() - begun).toBeLessThan(4_000);
    expect(ahead).toBe(0); // others are begun in time
  });

  test('E14: a batch that begins after the end of all takes no more than what it is begun with', async () => {
    const batches = new OpenBatches();
    batches.close();
    const batch = open(batches, 'late');
    await settled();
    expect([batch.isClosed, batches.reserve(1).slots]).toEqual([true, []]);
  });

  test('E14: one that is begun anew under its id is another one', async () => {
    const batches = new OpenBatches();
    const before = open(batches, 'one', { taken: 90 });
    const places = batches.reserve(10);
    before.close();
    const again = open(batches, 'one', { taken: 95 });
    places.release();
    await settled();
    expect([before.isClosed, again.isClosed, batches.free]).toEqual([true, false, 5]);
    batches.close();
  });
});

describe('batches that are begun', () => {
  test('E14: count until they open, or are taken for another process’', async () => {
    const batches = new OpenBatches();
    batches.expect('one', 20);
    batches.expect('elsewhere', 0);
    expect([batches.ahead, batches.free, batches.reserve(1).slots]).toEqual([180, 0, []]);
    open(batches, 'one', { taken: 20 });
    expect(batches.ahead).toBe(180);
    await sleep(1_100);
    expect(batches.ahead).toBe(80);
    batches.close();
  });

  test('E14 E12: there is room for so many, but for those in which nothing moves', async () => {
    const batches = new OpenBatches();
    const before = batches.room;
    expect(before).toBeGreaterThan(3);
    batches.expect('one', 0);
    const [moving] = [open(batches, 'moving', { taken: 100 }), open(batches, 'stuck', { taken: 100 })];
    expect(batches.room).toBe(before - 3);
    await sleep(300);
    expect(batches.room).toBe(before - 1);
    moving.leave(1);
    expect(batches.room).toBe(before - 2);
    batches.close();
  });
});

describe('places come free', () => {
  test('E14: soon where a batch is to open, or has just opened; and for a while where many did', async () => {
    const batches = new OpenBatches();
    expect(batches.isMoving).toBe(false);
    const batch = open(batches, 'one', { taken: 100 });
    expect(batches.isMoving).toBe(true);
    await sleep(80);
    expect(batches.isMoving).toBe(false);
    batches.expect('two', 100);
    expect(batches.isMoving).toBe(true);
    open(batches, 'two', { taken: 100 });
    await sleep(80);
    expect(batches.isMoving).toBe(false);
    batch.leave(60);
    expect(batches.isMoving).toBe(true);
    await sleep(250);
    expect(batches.isMoving).toBe(false);
    batches.close();
  });

  test('E14: not where the batches that are begun here have never opened here: other processes make the attempts', () => {
    const batches = new OpenBatches();
    batches.expect('elsewhere', 0);
    expect(batches.isMoving).toBe(false);
  });

  test('E14 E12: not where few do: receivers are slow, and others must not wait for them', async () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', { taken: 100 });
    await sleep(80);
    batch.leave(20);
    expect(batches.isMoving).toBe(false);
    batches.close();
  });

  test('E14: the more requests are made at once, the more batches there is room for', () => {
    const rooms = [10, 100, 1_000].map((requestsAtOnce) => new OpenBatches({ requestsAtOnce }).room);
    expect(rooms).toEqual(rooms.toSorted((one, other) => one - other));
    expect(rooms[2]).toBeGreaterThan(10); // one has a hundred places
  });
});
