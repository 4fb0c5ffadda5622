import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Handed, type OpenBatch, OpenBatches } from '../../src/egress/open-batches.ts';

/** Longer than an idle batch stays open, in ms, and shorter than a used one does. */
const IDLE_MS = 300;

interface WatchedBatch extends OpenBatch {
  isClosed: boolean;
  /** The ids of the deliveries that it was handed. */
  got: string[];
}

function open(batches: OpenBatches, id: string, places = 100): WatchedBatch {
  const got: string[] = [];
  const batch = batches.open(id, places, ({ deliveries }) => got.push(...deliveries.map((one) => one.id)));
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
  test('E14: the oldest batch is filled first, and what is kept by one is not given to another', () => {
    const batches = new OpenBatches();
    open(batches, 'one', 3);
    open(batches, 'two', 10);
    expect(batches.free).toBe(13);
    const mine = batches.reserve(5);
    expect(mine.slots).toEqual([
      { batchId: 'one', places: 3 },
      { batchId: 'two', places: 2 },
    ]);
    expect([batches.free, batches.reserve(100).slots]).toEqual([8, [{ batchId: 'two', places: 8 }]]);
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
    const batch = open(batches, 'one', 5);
    const places = batches.reserve(4);
    places.hand('one', handed('a', 'b'));
    expect([batches.free, batch.got]).toEqual([1, ['a', 'b']]);
    places.release();
    places.release();
    expect(batches.free).toBe(3);
    batches.close();
  });

  test('E14: a batch that is begun full has none', async () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'full', 0);
    await settled();
    expect([batch.isClosed, batches.free]).toEqual([true, 0]);
  });
});

describe('the end of a batch', () => {
  test('E14: comes when it is full, and its last deliveries have been handed over', async () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', 2);
    const places = batches.reserve(2);
    places.hand('one', handed('a'));
    await settled();
    expect(batch.isClosed).toBe(false);
    places.hand('one', handed('b'));
    places.release();
    await settled();
    expect([batch.isClosed, batch.got, batches.free]).toEqual([true, ['a', 'b'], 0]);
  });

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

  test('E14: comes soon where nothing is handed over, and later where something is', async () => {
    const batches = new OpenBatches();
    const [idle, used] = [open(batches, 'idle', 1), open(batches, 'used')];
    batches.reserve(1); // of the idle one, so that all goes to the other
    for (let n = 0; n < 6; n += 1) {
      await sleep(IDLE_MS / 3);
      const places = batches.reserve(1);
      expect(places.slots).toEqual([{ batchId: 'used', places: 1 }]);
      places.hand('used', handed(String(n)));
      places.release();
    }
    expect(used.isClosed).toBe(false);
    await sleep(IDLE_MS);
    expect([used.isClosed, idle.isClosed]).toEqual([true, false]);
    expect(batches.free).toBe(0);
  });

  test('E14: comes after some seconds however much is handed over, so that its workflow is not renewed for ever', async () => {
    const batches = new OpenBatches();
    const batch = open(batches, 'one', 10_000);
    const begun = Date.now();
    while (!batch.isClosed && Date.now() - begun < 10_000) {
      const places = batches.reserve(1);
      if (places.slots.length > 0) places.hand('one', handed('a'));
      places.release();
      await sleep(20);
    }
    expect(Date.now() - begun).toBeGreaterThan(2_500);
    expect(Date.now() - begun).toBeLessThan(4_000);
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
    const before = open(batches, 'one', 10);
    const places = batches.reserve(10);
    before.close();
    const again = open(batches, 'one', 5);
    places.release();
    await settled();
    expect([before.isClosed, again.isClosed, batches.free]).toEqual([true, false, 5]);
    batches.close();
  });
});

describe('batches that are begun', () => {
  test('E14: count as free until they open, or are taken for another process’', async () => {
    const batches = new OpenBatches();
    batches.expect('one');
    batches.expect('elsewhere');
    expect([batches.free, batches.reserve(1).slots]).toEqual([200, []]);
    open(batches, 'one', 80);
    expect(batches.free).toBe(180);
    await sleep(1_100);
    expect(batches.free).toBe(0);
  });

  test('E14: whoever waits for one hears of it, or is told that the time is up', async () => {
    const batches = new OpenBatches();
    const begun = Date.now();
    const waiting = batches.nextOpening(5_000);
    open(batches, 'one');
    await waiting;
    expect(Date.now() - begun).toBeLessThan(1_000);
    await batches.nextOpening(50);
    expect(Date.now() - begun).toBeGreaterThanOrEqual(45);
    batches.close();
  });
});
