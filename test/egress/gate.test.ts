import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { EgressGate, type Place } from '../../src/egress/gate.ts';

/** Long enough for nobody to give up. */
const PATIENCE_MS = 60_000;

/** Someone at the gate, with what is known of them so far. */
interface Visitor {
  place: Place | null | undefined;
  done: Promise<Place | null>;
}

function visit(gate: EgressGate, subscriptionId: string, patienceMs = PATIENCE_MS): Visitor {
  const visitor: Visitor = { place: undefined, done: gate.enter(subscriptionId, patienceMs) };
  void visitor.done.then((place) => (visitor.place = place));
  return visitor;
}

const visitAll = (gate: EgressGate, subscriptions: string[]) => subscriptions.map((id) => visit(gate, id));
/** What was resolved has been heard of by then. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const isIn = ({ place }: Visitor) => place !== undefined && place !== null;

/** Places that the gate still has, found by taking them all, each for a subscription of its own, and leaving them again. */
async function freePlaces(gate: EgressGate): Promise<number> {
  const places: Place[] = [];
  for (;;) {
    const place = await gate.enter(`stranger ${places.length}`, 0);
    if (place === null) break;
    places.push(place);
  }
  for (const place of places) place.leave();
  return places.length;
}

describe('limits', () => {
  test('E5: no more get in at once than there are places, whoever they are', async () => {
    const gate = new EgressGate({ total: 3, perSubscription: 3 });
    const visitors = visitAll(gate, ['a', 'b', 'c', 'd', 'e']);
    await settled();
    expect(visitors.map(isIn)).toEqual([true, true, true, false, false]);
    visitors[1]!.place!.leave();
    await settled();
    expect(visitors.map(isIn)).toEqual([true, true, true, true, false]);
    gate.close();
  });

  test('E12: no more of one subscription than its limit, and others pass those that wait', async () => {
    const gate = new EgressGate({ total: 10, perSubscription: 2 });
    const visitors = visitAll(gate, ['a', 'a', 'a', 'a', 'b']);
    await settled();
    expect(visitors.map(isIn)).toEqual([true, true, false, false, true]);
    visitors[0]!.place!.leave();
    await settled();
    expect(visitors.map(isIn)).toEqual([true, true, true, false, true]);
    visitors[4]!.place!.leave(); // a place of somebody else is none for it
    await settled();
    expect(visitors.map(isIn)).toEqual([true, true, true, false, true]);
    gate.close();
  });

  test('E5 E12: under any load neither limit is passed, and everyone gets in', async () => {
    const limits = { total: 5, perSubscription: 2 };
    const gate = new EgressGate(limits);
    const inFlight = new Map<string, number>();
    let all = 0;
    let most = 0;
    let mostOfOne = 0;
    const request = async (subscription: string): Promise<void> => {
      const place = await gate.enter(subscription, PATIENCE_MS);
      all += 1;
      const ofOne = (inFlight.get(subscription) ?? 0) + 1;
      inFlight.set(subscription, ofOne);
      most = Math.max(most, all);
      mostOfOne = Math.max(mostOfOne, ofOne);
      await sleep(Math.random() * 3);
      all -= 1;
      inFlight.set(subscription, inFlight.get(subscription)! - 1);
      place!.leave();
    };
    await Promise.all(Array.from({ length: 400 }, (_, i) => request(`s${i % 7}`)));
    expect([most, mostOfOne]).toEqual([limits.total, limits.perSubscription]);
    expect(await freePlaces(gate)).toBe(limits.total);
  });
});

describe('order', () => {
  /** In which order those who wait get in, through one place that is passed on. */
  async function orderOf(waiting: string[]): Promise<string[]> {
    const gate = new EgressGate({ total: 1, perSubscription: 1 });
    const first = await gate.enter('first', PATIENCE_MS);
    const order: string[] = [];
    const passing = waiting.map(async (subscription) => {
      const place = await gate.enter(subscription, PATIENCE_MS);
      order.push(subscription);
      place!.leave();
    });
    first!.leave();
    await Promise.all(passing);
    return order;
  }

  test('E12: places go round the subscriptions that wait, however many each has', async () => {
    expect(await orderOf(['a', 'a', 'a', 'a', 'b', 'b', 'c'])).toEqual(['a', 'b', 'c', 'a', 'b', 'a', 'a']);
  });

  test('E12: who comes last with one request waits for one of each other, not for all of them', async () => {
    const order = await orderOf([...Array.from({ length: 100 }, () => 'busy'), 'quiet']);
    expect(order.indexOf('quiet')).toBe(1);
  });

  test('requests of one subscription go in the order that they came', async () => {
    const gate = new EgressGate({ total: 1, perSubscription: 1 });
    const first = await gate.enter('a', PATIENCE_MS);
    const order: number[] = [];
    const passing = [0, 1, 2, 3].map(async (n) => {
      const place = await gate.enter('a', PATIENCE_MS);
      order.push(n);
      place!.leave();
    });
    first!.leave();
    await Promise.all(passing);
    expect(order).toEqual([0, 1, 2, 3]);
  });
});

describe('waiting', () => {
  test('is told of afterwards: only who waited has to look again', async () => {
    const gate = new EgressGate({ total: 1, perSubscription: 1 });
    const first = await gate.enter('a', PATIENCE_MS);
    expect(first!.waited).toBe(false);
    const second = visit(gate, 'a');
    first!.leave();
    expect((await second.done)!.waited).toBe(true);
  });

  test('ends after its time; the place goes to the next, and none is lost', async () => {
    const gate = new EgressGate({ total: 2, perSubscription: 1 });
    const held = await gate.enter('a', PATIENCE_MS);
    const impatient = visit(gate, 'a', 20);
    const patient = visit(gate, 'a');
    expect(await impatient.done).toBeNull();
    held!.leave();
    expect(await patient.done).not.toBeNull();
    patient.place!.leave();
    expect(await freePlaces(gate)).toBe(2);
  });

  test('a place that is left twice is one place', async () => {
    const gate = new EgressGate({ total: 2, perSubscription: 2 });
    const [one] = [await gate.enter('a', PATIENCE_MS), await gate.enter('a', PATIENCE_MS)];
    one!.leave();
    one!.leave();
    expect(await freePlaces(gate)).toBe(1);
  });

  test('of many who come, wait, give up and leave, nothing stays behind', async () => {
    const gate = new EgressGate({ total: 4, perSubscription: 2 });
    await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        await sleep(Math.random() * 20);
        const place = await gate.enter(`s${i % 11}`, Math.random() * 5);
        await sleep(Math.random() * 4);
        place?.leave();
      }),
    );
    expect(await freePlaces(gate)).toBe(4);
  });
});

describe('closing', () => {
  test('E9: sends away who waits and who comes, and lets those go on who are in', async () => {
    const gate = new EgressGate({ total: 1, perSubscription: 1 });
    const held = await gate.enter('a', PATIENCE_MS);
    const waiting = visitAll(gate, ['a', 'b', 'b']);
    gate.close();
    expect(await Promise.all(waiting.map(({ done }) => done))).toEqual([null, null, null]);
    expect(await gate.enter('c', PATIENCE_MS)).toBeNull();
    held!.leave();
    expect(await gate.enter('c', PATIENCE_MS)).toBeNull();
  });
});
