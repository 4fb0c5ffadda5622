import fc from 'fast-check';
import { type Lane, LANES } from '../../src/domain/lane.ts';

/** `mixed`: each subscription starts in another lane, and lanes change in the middle. */
export const LANE_CHOICES = ['workflow', 'express', 'mixed'] as const;
export type LaneChoice = (typeof LANE_CHOICES)[number];

export interface BusSize {
  events: number;
  /** Worker processes that are killed, at least. */
  kills: number;
  /** How often all connections that listen are cut. */
  listenerCuts: number;
  /** Worker processes that are asked to end, by SIGTERM, in the middle. */
  retirements: number;
  /** How often a subscription is given a lane in the middle, where lanes are mixed. */
  laneChanges: number;
  /** How long Temporal and Postgres are away, at most. */
  downMs: number;
}

export interface PlannedEvent {
  id: string;
  topic: string;
  /** Each publishes it, one after the other, under its id. `rollback`: a transaction that is never committed. */
  publishedBy: Publisher[];
}

export type Publisher = 'client' | 'sql' | 'rollback';

export interface Fault {
  /** The share of the deliveries that has arrived when it is due. */
  at: number;
  /** And so much later. */
  delayMs: number;
  what:
    | { kind: 'kill' | 'retire'; worker: number; pauseMs: number }
    | { kind: 'restartTemporal' | 'restartPostgres'; downMs: number }
    | { kind: 'cutListeners' }
    | { kind: 'changeLane'; subscription: string; lane: Lane };
}

export interface BusPlan {
  events: PlannedEvent[];
  /** What each subscription starts with, by name. */
  lanes: Record<string, Lane>;
  faults: Fault[];
}

export const WORKERS = 2;
export const SUBSCRIPTIONS: Record<string, string[]> = {
  all: ['chaos.>'],
  tokens: ['chaos.*.created', 'chaos.*.*', 'chaos.*.changed'], // two or three that match make one delivery
  names: ['chaos.order.*', 'chaos.user.*', 'chaos.invoice.created', '*.invoice.changed'],
};
const TOPICS = ['order', 'user', 'invoice'].flatMap((what) => [`chaos.${what}.created`, `chaos.${what}.changed`]);

// Of whole numbers: doubles are drawn evenly by their bits, so nearly all of them would be small.
const share = (from: number, to: number) =>
  fc.integer({ min: from * 1_000, max: to * 1_000 }).map((thousandths) => thousandths / 1_000);
const times = <T>(count: number, arbitrary: fc.Arbitrary<T>) =>
  fc.array(arbitrary, { minLength: count, maxLength: count });

const event: fc.Arbitrary<PlannedEvent> = fc.record({
  id: fc.uuid({ version: 4 }),
  topic: fc.constantFrom(...TOPICS),
  publishedBy: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom<Publisher[]>(['client'], ['sql']) },
    { weight: 1, arbitrary: fc.constantFrom<Publisher[]>(['client', 'sql'], ['sql', 'client'], ['sql', 'sql']) },
    { weight: 1, arbitrary: fc.constantFrom<Publisher[]>(['rollback', 'client'], ['rollback', 'sql']) },
  ),
});
const nobodysEvent: fc.Arbitrary<PlannedEvent> = event.map((one) => ({ ...one, publishedBy: ['rollback'] }));

const worker = fc.nat(WORKERS - 1);
const oneInThree = fc.nat(2).map((drawn) => drawn === 0);
const soon = fc.integer({ min: 0, max: 2_000 });
const pauseMs = fc.integer({ min: 100, max: 2_000 });

/** Of one worker, or of both at once. */
const kill = fc
  .record({ at: share(0.02, 0.9), delayMs: soon, worker, pauseMs, both: oneInThree })
  .map(({ at, delayMs, both, ...one }): Fault[] => {
    const victims = both ? [0, 1] : [one.worker];
    return victims.map((victim) => ({ at, delayMs, what: { kind: 'kill', worker: victim, pauseMs: one.pauseMs } }));
  });

/** While it is away, a worker is killed as well: the next one starts without it, or nearly. */
const restart = (kind: 'restartTemporal' | 'restartPostgres', at: fc.Arbitrary<number>, mostMs: number) =>
  fc
    .record({ at, downMs: fc.integer({ min: mostMs * 0.4, max: mostMs }), worker, delayMs: soon, pauseMs })
    .map(({ at, downMs, ...one }): Fault[] => [
      { at, delayMs: 0, what: { kind, downMs } },
      { at, delayMs: one.delayMs, what: { kind: 'kill', worker: one.worker, pauseMs: one.pauseMs } },
    ]);

const cut = fc
  .record({ at: share(0.05, 0.9), delayMs: soon })
  .map((when): Fault => ({ ...when, what: { kind: 'cutListeners' } }));
const retirement = fc
  .record({ at: share(0.05, 0.9), delayMs: soon, worker, pauseMs })
  .map(({ at, delayMs, ...one }): Fault => ({ at, delayMs, what: { kind: 'retire', ...one } }));

const laneChange = fc
  .record({
    at: share(0.02, 0.9),
    delayMs: soon,
    subscription: fc.constantFrom(...Object.keys(SUBSCRIPTIONS)),
    lane: fc.constantFrom(...LANES),
  })
  .map(({ at, delayMs, ...one }): Fault => ({ at, delayMs, what: { kind: 'changeLane', ...one } }));

/** Draws everything that is left to chance. The same seed and size give the same plan, but for lanes in all lanes. */
export function drawPlan(seed: number, size: BusSize, lane: LaneChoice): BusPlan {
  const { events, faults } = drawEventsAndFaults(seed, size);
  const { lanes, changes } = drawLanes(seed, size, lane);
  return { events, lanes, faults: [...faults, ...changes] };
}

function drawLanes(seed: number, { laneChanges }: BusSize, lane: LaneChoice) {
  const names = Object.keys(SUBSCRIPTIONS);
  const byName = (lanes: Lane[]) => Object.fromEntries(names.map((name, index) => [name, lanes[index]!]));
  if (lane !== 'mixed') return { lanes: byName(names.map(() => lane)), changes: [] };
  const drawn = fc.record({
    lanes: fc.shuffledSubarray([...LANES], { minLength: names.length }).map(byName),
    changes: times(laneChanges, laneChange),
  });
  return sampleOf(drawn, seed);
}

function drawEventsAndFaults(seed: number, size: BusSize): Pick<BusPlan, 'events' | 'faults'> {
  const plan = fc
    .record({
      events: times(size.events, event),
      nobodys: times(Math.ceil(size.events / 50), nobodysEvent),
      temporal: restart('restartTemporal', share(0.2, 0.4), size.downMs),
      postgres: restart('restartPostgres', share(0.5, 0.7), size.downMs),
      kills: times(size.kills, kill),
      cuts: times(size.listenerCuts, cut),
      retirements: times(size.retirements, retirement),
    })
    .chain(({ events, nobodys, temporal, postgres, kills, cuts, retirements }) =>
      fc.record({
        events: fc.shuffledSubarray([...events, ...nobodys], { minLength: events.length + nobodys.length }),
        faults: fc.constant<Fault[]>([...temporal, ...postgres, ...kills.flat(), ...cuts, ...retirements]),
      }),
    );
  return sampleOf(plan, seed);
}

function sampleOf<T>(arbitrary: fc.Arbitrary<T>, seed: number): T {
  return fc.sample(fc.noBias(arbitrary), { seed, numRuns: 1 })[0]!;
}

/** Whether it is published, and not only tried to be. */
export function isPublished({ publishedBy }: PlannedEvent): boolean {
  return publishedBy.some((one) => one !== 'rollback');
}
