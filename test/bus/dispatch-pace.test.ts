import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Dispatched } from '../../src/bus/dispatch-events.ts';
import { DispatchPace } from '../../src/bus/dispatch-pace.ts';
import { type OpenBatch, OpenBatches } from '../../src/egress/open-batches.ts';

let openBatches: OpenBatches;
let pace: DispatchPace;
beforeEach(() => {
  openBatches = new OpenBatches();
  pace = new DispatchPace(openBatches);
});
afterEach(() => {
  openBatches.close();
});

/** Full ones. */
function openThree(): OpenBatch[] {
  return ['one', 'two', 'three'].map((id) => openBatches.open(id, 100, () => undefined));
}

/** Others are to open, so that places are worth waiting for, for a second. */
function openMoving(): OpenBatch[] {
  openBatches.expect('another', 0);
  return openThree();
}

/** As many events as were allowed, all of the express lane, all of which found places. */
function dispatched(events: number, others: Partial<Dispatched> = {}): void {
  const express = { deliveries: events, subscriptions: [] };
  pace.dispatched({ events, lateMs: 0, isFull: true, express, handed: express.deliveries, waiting: 0, ...others });
}

/** Null where it is waited with. */
async function atOnce(): Promise<number | null> {
  let events: number | null = null;
  void pace.next().then((most) => (events = most));
  await new Promise((resolve) => setImmediate(resolve));
  return events;
}

describe('the next events are dispatched at once, and many of them,', () => {
  async function expectAtOnce(): Promise<void> {
    expect(await atOnce()).toBe(200);
  }

  test('E14: at the beginning', expectAtOnce);

  test('E14: where those before were all that there were', async () => {
    openMoving();
    dispatched(150, { isFull: false });
    await expectAtOnce();
  });

  test('E14: where none of those before was for the express lane', async () => {
    openMoving();
    dispatched(200, { express: { deliveries: 0, subscriptions: [] }, handed: 0, waiting: 200 });
    await expectAtOnce();
  });

  test('E14 E12: where nothing moves: receivers that do not answer hold up nobody else', async () => {
    openThree();
    await sleep(100);
    dispatched(200);
    await expectAtOnce();
  });

  test('E14 E12: where so little comes free that others would wait long', async () => {
    const [batch] = openThree();
    await sleep(100);
    batch?.leave(10);
    dispatched(200);
    await expectAtOnce();
  });

  test('E14 E12: where those before had waited for long', async () => {
    openMoving();
    dispatched(200, { lateMs: 2_500 });
    await expectAtOnce();
  });
});

describe('while more events come than go out', () => {
  test('E14: as many as there are places for', async () => {
    const [batch] = openMoving();
    batch?.leave(120);
    dispatched(200);
    expect(await atOnce()).toBe(120);
    dispatched(100, { express: { deliveries: 200, subscriptions: [] }, handed: 200 });
    expect(await atOnce()).toBe(60); // each wanted two
    dispatched(200, { express: { deliveries: 20, subscriptions: [] }, handed: 20, waiting: 180 });
    expect(await atOnce()).toBe(200); // one of ten wanted one
  });

  test('E14: they wait for places', async () => {
    pace = new DispatchPace(openBatches, { holdMs: 60_000 });
    const [batch] = openMoving();
    dispatched(200);
    const next = pace.next();
    await sleep(20);
    batch?.leave(150);
    expect(await next).toBe(150);
  });

  test('E14 E12: but not for long, and then some go on without', async () => {
    openMoving();
    dispatched(200);
    const begun = performance.now();
    expect(await pace.next()).toBe(20);
    expect(performance.now() - begun).toBeGreaterThan(40);
  });

  test('E14: those that wait to be started have the places first', async () => {
    const [batch] = openMoving();
    batch?.leave(120);
    dispatched(200, { handed: 100, waiting: 100 });
    expect(await pace.next()).toBe(20); // they would be written down behind those
    const looked = pace.looking();
    dispatched(20, { handed: 0, waiting: 20 });
    looked(false);
    expect(await atOnce()).toBe(120); // few others wait
  });

  test('E14: and so have those that found no place when somebody looked after them', async () => {
    const [batch] = openMoving();
    batch?.leave(120);
    dispatched(200);
    pace.looking()(true);
    expect(await pace.next()).toBe(20);
    pace.looking()(false);
    expect(await atOnce()).toBe(120);
  });
});
