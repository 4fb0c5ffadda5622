import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admitDeliveries } from '../../src/database/admission.ts';
import { listAttempts, recordAttempt } from '../../src/database/attempts.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { endDeliveriesOf, endDelivery, markStarted, reopenDelivery } from '../../src/database/deliveries.ts';
import {
  type BatchedAttempt,
  deliveriesToContinue,
  leaveToOwnWorkflow,
  loadBatch,
  loadBatchedSubscriptions,
  loadPayload,
  markContinued,
  putBack,
  recordFirstAttempts,
} from '../../src/database/first-attempts.ts';
import { deleteSubscription } from '../../src/database/subscriptions.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import { type Outcome, RESPONSE_BODY_LIMIT, type Response } from '../../src/domain/outcome.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { deliveryRow, insertBatch, type RecordedBatch, subscriptionRow } from '../support/records.ts';

const MINUTE = 60_000;

let database: TestDatabase;
let db: ForgeflowDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
  db = database.db;
});
afterAll(() => database.drop());

function answer(statusCode: number, more: Partial<Response> = {}): Response {
  return {
    kind: 'response',
    statusCode,
    headers: { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] },
    body: Buffer.from('noted'),
    truncated: false,
    durationMs: 12,
    ...more,
  };
}

const REFUSED: Outcome = { kind: 'connection_error', reason: 'connection refused', durationMs: 3 };

function attemptOf(deliveryId: string, outcome: Outcome, { number = 1, sentAt = new Date() } = {}): BatchedAttempt {
  return { deliveryId, number, sentAt, outcome, verdict: judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime()) };
}

/** A delivery's row and log without what says which one it is, and who has it in hand. */
async function records(id: string): Promise<unknown> {
  const { state, failure_detail, attempt_count, date_first_sent, date_sent, next_attempt_at, window_started_at } =
    await deliveryRow(db, id);
  const log = (await listAttempts(db, id)).map((attempt) => ({ ...attempt, delivery_id: 'its own' }));
  return {
    ...{ state, failure_detail, attempt_count, date_first_sent, date_sent, next_attempt_at, window_started_at },
    log,
  };
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

const OUTCOMES: [string, Outcome][] = [
  ['a success', answer(204, { body: Buffer.alloc(0), headers: {} })],
  ['a success with a body of every byte', answer(200, { body: ALL_BYTES })],
  ['a failure', answer(500)],
  ['a failure with as long a body as is kept, cut off', answer(503, { body: longBody(), truncated: true })],
  ['a failure with a body that is no UTF-8', answer(400, { body: Buffer.from([0xc3, 0x28, 0, 0xed, 0xa0, 0x80]) })],
  [
    'a failure with odd headers',
    answer(302, { headers: { 'x-a': ' "\\u0041" \\ \u{1F389} \uFFFD ', 'x-b': ['', '2'] } }),
  ],
  ['a failure with a header like a column', answer(500, { headers: { id: 'x', state: 'delivered', null: 'null' } })],
  ['a status nobody knows', answer(999)],
  ['a receiver that asks for time', answer(429, { headers: { 'retry-after': '1800' } })],
  ['a receiver that is gone', answer(410)],
  ['a connection error', REFUSED],
  ['a connection error in other words', { ...REFUSED, reason: `it's "over" \\ and out \u{1F389}, $1 ?` }],
];

function longBody(): Buffer {
  return Buffer.alloc(RESPONSE_BODY_LIMIT, ALL_BYTES);
}

/** What a delivery may have become by the time at which its attempt is over. */
const STANDINGS: [string, (id: string) => Promise<unknown>, number][] = [
  ['waits for it', () => Promise.resolve(), 1],
  ['was cancelled meanwhile', (id) => endDelivery(db, id, 'cancelled', 'by hand'), 1],
  ['was ended meanwhile with its subscription', (id) => endDelivery(db, id, 'failed', 'Webhook deactivated'), 1],
  [
    'was queued again after its window',
    async (id) => {
      await recordAttempt(db, attemptOf(id, answer(410), { sentAt: new Date('2026-01-01') }));
      await reopenDelivery(db, id, false);
    },
    2,
  ],
  [
    'was queued again with a new window',
    async (id) => {
      await recordAttempt(db, attemptOf(id, answer(410), { sentAt: new Date('2026-01-01') }));
      await reopenDelivery(db, id, true);
    },
    2,
  ],
  [
    'has it written down already',
    (id) => recordAttempt(db, attemptOf(id, answer(502), { sentAt: new Date('2026-02-02') })),
    1,
  ],
];

describe('recording', () => {
  test.each(STANDINGS)('E14 D4: a delivery that %s has the same records after a batch', async (_is, become, number) => {
    const batch = await insertBatch(db, OUTCOMES.length);
    const alone = await insertBatch(db, OUTCOMES.length);
    for (const id of [...batch.ids, ...alone.ids]) await become(id);
    const sentAt = new Date();
    await recordFirstAttempts(
      db,
      batch.ids.map((id, n) => attemptOf(id, OUTCOMES[n]![1], { number, sentAt })),
    );
    for (const [n, [name, outcome]] of OUTCOMES.entries()) {
      await recordAttempt(db, attemptOf(alone.ids[n]!, outcome, { number, sentAt }));
      expect([name, await records(batch.ids[n]!)]).toEqual([name, await records(alone.ids[n]!)]);
    }
  });

  test('E14 D4: whatever comes in whichever order, the records are the same after batches', async () => {
    const outcome: fc.Arbitrary<Outcome> = fc.oneof(
      fc.record({
        kind: fc.constant('response' as const),
        statusCode: fc.oneof(fc.constantFrom(200, 204, 410, 429, 500, 503), fc.integer({ min: 200, max: 999 })),
        headers: fc.dictionary(
          fc.stringMatching(/^[a-z-]{1,12}$/),
          fc.oneof(headerText(), fc.array(headerText(), { minLength: 1, maxLength: 3 })),
          { maxKeys: 4 },
        ),
        body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        truncated: fc.boolean(),
        durationMs: fc.nat(60_000),
      }),
      fc.record({
        kind: fc.constant('connection_error' as const),
        reason: headerText(),
        durationMs: fc.nat(60_000),
      }),
    );
    const step = fc.record({ which: fc.nat(3), number: fc.integer({ min: 1, max: 3 }), outcome, end: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 4 }), async (rounds) => {
        const [batch, alone] = [await insertBatch(db, 4), await insertBatch(db, 4)];
        for (const round of rounds) {
          const once = [...new Map(round.map((one) => [one.which, one])).values()]; // a batch has each delivery once
          const sentAt = new Date();
          await recordFirstAttempts(
            db,
            once.map(({ which, number, outcome: of }) => attemptOf(batch.ids[which]!, of, { number, sentAt })),
          );
          for (const { which, number, outcome: of, end } of once) {
            await recordAttempt(db, attemptOf(alone.ids[which]!, of, { number, sentAt }));
            if (end) for (const { ids } of [batch, alone]) await endDelivery(db, ids[which]!, 'cancelled', 'by hand');
          }
        }
        for (const [n, id] of batch.ids.entries()) expect(await records(id)).toEqual(await records(alone.ids[n]!));
      }),
      { numRuns: 25 },
    );
  });

  test('E14: what is to be tried again waits for a workflow of its own, and nothing else does', async () => {
    const { ids, batchId } = await insertBatch(db, 4);
    const [delivered, failing, gone, cancelled] = ids;
    await endDelivery(db, cancelled!, 'cancelled', 'by hand');
    await recordFirstAttempts(db, [
      attemptOf(delivered!, answer(200)),
      attemptOf(failing!, answer(500)),
      attemptOf(gone!, answer(410)),
      attemptOf(cancelled!, answer(500)),
    ]);
    const found = await deliveriesToContinue(db, 100);
    expect(found.filter(({ id }) => ids.includes(id)).map(({ id }) => id)).toEqual([failing]);
    for (const id of [delivered, gone, cancelled])
      expect(await deliveryRow(db, id!)).toMatchObject({ started_at: expect.any(Date) as Date, carrier: null });
    expect(await deliveryRow(db, failing!)).toMatchObject({ started_at: null, carrier: batchId });
  });

  test('E14 D5: an attempt that got through is a fact, also when its delivery was cancelled; a failure is none', async () => {
    const { ids } = await insertBatch(db, 2);
    for (const id of ids) await endDelivery(db, id, 'cancelled', 'by hand');
    await recordFirstAttempts(db, [attemptOf(ids[0]!, answer(204)), attemptOf(ids[1]!, answer(500))]);
    expect(await deliveryRow(db, ids[0]!)).toMatchObject({ state: 'delivered', failure_detail: null });
    expect(await deliveryRow(db, ids[1]!)).toMatchObject({ state: 'cancelled', failure_detail: 'by hand' });
  });

  test('E14: deliveries that are gone keep nothing from being recorded of the others', async () => {
    const [there, deleted] = [await insertBatch(db, 2), await insertBatch(db, 2)];
    await deleteSubscription(db, (await subscriptionRow(db, deleted.subscriptionId)).name);
    await recordFirstAttempts(
      db,
      [there.ids[0]!, ...deleted.ids, randomUUID(), there.ids[1]!].map((id) => attemptOf(id, answer(200))),
    );
    for (const id of there.ids) expect(await deliveryRow(db, id)).toMatchObject({ state: 'delivered' });
    for (const id of deleted.ids) expect(await listAttempts(db, id)).toEqual([]);
  });

  test('E14: twice changes nothing, and does not bring back one that its own workflow has by now', async () => {
    const { ids } = await insertBatch(db, 2);
    const attempts = ids.map((id) => attemptOf(id, answer(500)));
    await recordFirstAttempts(db, attempts);
    await markContinued(db, ids);
    const before = await Promise.all(ids.map(records));
    await recordFirstAttempts(db, attempts);
    expect(await Promise.all(ids.map(records))).toEqual(before);
    for (const id of ids) expect((await listAttempts(db, id)).length).toBe(1);
  });

  test('E14: a hundred answers as long as are kept are written down at once', async () => {
    const { ids } = await insertBatch(db, 100);
    await recordFirstAttempts(
      db,
      ids.map((id) => attemptOf(id, answer(500, { body: longBody(), truncated: true }))),
    );
    const { rows } = await sql<{ count: number; bytes: number }>`
      select count(*)::int as count, min(octet_length(response_body)) as bytes
      from attempts where delivery_id = any(${ids}::uuid[])
    `.execute(db);
    expect(rows).toEqual([{ count: 100, bytes: RESPONSE_BODY_LIMIT }]);
  });

  test('of nothing is nothing', async () => {
    await recordFirstAttempts(db, []);
  });
});

function headerText(): fc.Arbitrary<string> {
  // What HTTP's parser lets through: no NUL, and of what is no UTF-8 the character that stands for it.
  return fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replaceAll('\0', ''));
}

describe('reading a batch', () => {
  test('E14 D2: gives what an attempt needs, the number of the next one included', async () => {
    const window = new Date('2026-01-01');
    const { ids, batchId, subscriptionId } = await insertBatch(db, 1, {
      values: { attempt_count: 3, window_started_at: window },
      payload: '{"n":1}',
    });
    const { event_id } = await deliveryRow(db, ids[0]!);
    const batch = await loadBatch(db, batchId);
    expect(batch).toEqual(await loadBatch(db, batchId, ids));
    expect(batch.deliveries).toEqual([
      {
        ...{ id: ids[0], number: 4, windowStartedAt: window, eventId: event_id, topic: 'a.b', subscriptionId },
        payload: '{"n":1}',
      },
    ]);
    const row = await subscriptionRow(db, subscriptionId);
    expect(await loadBatchedSubscriptions(db, [subscriptionId, randomUUID()])).toEqual([
      {
        id: subscriptionId,
        version: batch.version,
        name: row.name,
        state: 'active',
        trippedAt: null,
        url: row.url,
        headersSealed: row.headers_sealed,
        secretSealed: row.secret_sealed,
        previousSecretSealed: null,
        previousSecretExpiresAt: null,
      },
    ]);
  });

  test('E14: leaves large payloads to be read one by one; their size is that of their bytes', async () => {
    for (const [payload, isRead] of [
      [`"${'x'.repeat(9_000)}"`, true],
      [`"${'x'.repeat(20_000)}"`, false],
      [`"${'ü'.repeat(9_000)}"`, false],
    ] as const) {
      const { ids, batchId } = await insertBatch(db, 1, { payload });
      const [delivery] = (await loadBatch(db, batchId, ids)).deliveries;
      expect(delivery!.payload).toBe(isRead ? payload : null);
      expect(await loadPayload(db, delivery!.eventId)).toBe(payload);
    }
    expect(await loadPayload(db, randomUUID())).toBeUndefined();
  });

  test.each<[string, (id: string, batchId: string) => Promise<unknown>]>([
    ['over', (id) => endDelivery(db, id, 'cancelled', 'by hand')],
    ['recorded as delivered', (id) => recordFirstAttempts(db, [attemptOf(id, answer(200))])],
    ['recorded, and waits for its next attempt', (id) => recordFirstAttempts(db, [attemptOf(id, answer(500))])],
    [
      'recorded, and goes on in a workflow of its own',
      async (id) => {
        await recordFirstAttempts(db, [attemptOf(id, answer(500))]);
        await markContinued(db, [id]);
      },
    ],
    ['put back', (id, batchId) => putBack(db, batchId, [id])],
    ['left to a workflow of its own', (id, batchId) => leaveToOwnWorkflow(db, batchId, id)],
    [
      'given out again, with another batch',
      async (id) => {
        await db.updateTable('deliveries').set({ carrier: randomUUID() }).where('id', '=', id).execute();
      },
    ],
    [
      'gone',
      async (id) => {
        await db.deleteFrom('deliveries').where('id', '=', id).execute();
      },
    ],
  ])('E14: leaves out what is %s', async (_what, happen) => {
    const { ids, batchId } = await insertBatch(db, 2);
    await happen(ids[0]!, batchId);
    expect((await loadBatch(db, batchId, ids)).deliveries.map(({ id }) => id)).toEqual([ids[1]]);
  });

  test('E14: gives nothing that was not asked for', async () => {
    const { ids, batchId } = await insertBatch(db, 3);
    expect((await loadBatch(db, batchId, ids.slice(0, 1))).deliveries.map(({ id }) => id)).toEqual(ids.slice(0, 1));
    expect((await loadBatch(db, batchId, [])).deliveries).toEqual([]);
    expect((await loadBatch(db, randomUUID(), ids)).deliveries).toEqual([]);
  });
});

/** Those among them that are admitted now, each by a workflow of its own. */
async function admittedAgain(of: string[]): Promise<string[]> {
  const express = { batches: 10, batchSize: 100, inFlight: 1_000, inFlightOfAll: 100_000, gatherMs: 0, backlog: 0 };
  const limits = { batch: 1_000, inFlight: 1_000, inFlightOnTrial: 1_000, probeLeaseMs: MINUTE, express };
  const { admitted } = await admitDeliveries(db, limits);
  return of.filter((id) => admitted.some((one) => one.id === id));
}

describe('putting back', () => {
  test('E14: makes them wait again, as if they had never been given out', async () => {
    const { ids, batchId } = await insertBatch(db, 3);
    await putBack(db, batchId, ids.slice(0, 2));
    for (const id of ids.slice(0, 2)) {
      expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null, attempt_count: 0 });
    }
    expect(await admittedAgain(ids)).toEqual(ids.slice(0, 2));
  });

  test.each<[string, (id: string) => Promise<unknown>]>([
    ['over', (id) => endDelivery(db, id, 'cancelled', 'by hand')],
    ['waiting for its next attempt', (id) => recordFirstAttempts(db, [attemptOf(id, answer(500))])],
    [
      'given out again since',
      async (id) => {
        await db.updateTable('deliveries').set({ carrier: randomUUID() }).where('id', '=', id).execute();
      },
    ],
  ])('E14: leaves one as it is that is %s', async (_what, happen) => {
    const { ids, batchId } = await insertBatch(db, 1);
    await happen(ids[0]!);
    const before = await deliveryRow(db, ids[0]!);
    await putBack(db, batchId, ids);
    await leaveToOwnWorkflow(db, randomUUID(), ids[0]!);
    expect(await deliveryRow(db, ids[0]!)).toEqual(before);
  });

  test('E14: one that is left to a workflow of its own is given out with no batch', async () => {
    const { ids, batchId, subscriptionId } = await insertBatch(db, 1);
    await db.updateTable('subscriptions').set({ lane: 'express' }).where('id', '=', subscriptionId).execute();
    await leaveToOwnWorkflow(db, batchId, ids[0]!);
    expect(await admittedAgain(ids)).toEqual(ids);
  });
});

describe('going on in workflows of their own', () => {
  test('E14 D2: they are given out with what their workflows need to know, the most urgent first', async () => {
    const { ids, subscriptionId } = await insertBatch(db, 3, { values: { attempt_count: 1 } });
    const sentAt = new Date();
    const asks = (seconds: number) => answer(503, { headers: { 'retry-after': String(seconds) } });
    await recordFirstAttempts(db, [
      attemptOf(ids[0]!, asks(3_000), { number: 2, sentAt }),
      attemptOf(ids[1]!, REFUSED, { number: 2, sentAt }),
      attemptOf(ids[2]!, asks(2_000), { number: 2, sentAt }),
    ]);
    const mine = (await deliveriesToContinue(db, 1_000)).filter((one) => one.subscriptionId === subscriptionId);
    expect(mine.map(({ id }) => id)).toEqual([ids[1], ids[2], ids[0]]);
    const { name, url } = await subscriptionRow(db, subscriptionId);
    const { next_attempt_at } = await deliveryRow(db, ids[1]!);
    expect(mine[0]).toEqual({
      ...{ id: ids[1], topic: 'a.b', subscriptionId, subscription: name, url, attemptCount: 2 },
      failureDetail: 'Connection error: connection refused',
      lastAttemptAt: sentAt,
      nextAttemptAt: next_attempt_at,
    });
    expect((await deliveriesToContinue(db, 1)).length).toBe(1);
  });

  test('E14: once marked, they are their own workflows’ and are not given out again', async () => {
    const { ids } = await insertBatch(db, 2);
    await recordFirstAttempts(
      db,
      ids.map((id) => attemptOf(id, answer(500))),
    );
    await markContinued(db, ids);
    for (const id of ids)
      expect(await deliveryRow(db, id)).toMatchObject({ started_at: expect.any(Date) as Date, carrier: id });
    const left = (await deliveriesToContinue(db, 1_000)).map(({ id }) => id);
    for (const id of ids) expect(left).not.toContain(id);
  });

  test.each<[string, (id: string) => Promise<unknown>]>([
    ['was cancelled meanwhile', (id) => endDelivery(db, id, 'cancelled', 'by hand')],
    [
      'was cancelled and queued again meanwhile',
      async (id) => {
        await endDelivery(db, id, 'cancelled', 'by hand');
        await reopenDelivery(db, id, true);
      },
    ],
    ['was told to go on by hand meanwhile', (id) => markStarted(db, id)],
  ])('E14: marking leaves one as it is that %s', async (_what, happen) => {
    const { ids } = await insertBatch(db, 1);
    await recordFirstAttempts(db, [attemptOf(ids[0]!, answer(500))]);
    await happen(ids[0]!);
    const before = await deliveryRow(db, ids[0]!);
    await markContinued(db, ids);
    expect(await deliveryRow(db, ids[0]!)).toEqual(before);
  });

  test('E14 D6: one that waits for its workflow can be told to go on by hand; one that is in a batch cannot', async () => {
    const { ids } = await insertBatch(db, 2);
    await recordFirstAttempts(db, [attemptOf(ids[0]!, answer(500))]);
    expect(await markStarted(db, ids[0]!)).toBe(true);
    expect(await deliveryRow(db, ids[0]!)).toMatchObject({ carrier: ids[0] });
    expect(await markStarted(db, ids[1]!)).toBe(false);
  });
});

/**
 * One batch after the other is recorded, while over another connection something happens to all of its deliveries.
 * The rows lie in the table in another order than their ids'.
 */
async function atOnce(happen: (other: ForgeflowDatabase, batch: RecordedBatch) => Promise<unknown>): Promise<void> {
  const other = openDatabase(database.url);
  try {
    for (let round = 0; round < 12; round++) {
      const batch = await insertBatch(db, 100);
      const attempts = batch.ids.map((id) => attemptOf(id, round % 2 === 0 ? answer(200) : answer(500)));
      await Promise.all([recordFirstAttempts(db, attempts), happen(other, batch)]);
    }
  } finally {
    await other.destroy();
  }
}

describe('at the same time', () => {
  test('E14 D8: pausing a subscription and recording a batch of it do not block each other', async () => {
    await atOnce(async (other, { subscriptionId }) => {
      await endDeliveriesOf(other, subscriptionId);
    });
  });

  test('E14: putting back, and marking, do not either', async () => {
    await atOnce((other, { batchId, ids }) => putBack(other, batchId, ids.toReversed()));
    await atOnce((other, { ids }) => markContinued(other, ids.toReversed()));
  });

  test('E14: two workers that record the same batch, in whatever order, do not either', async () => {
    await atOnce((other, { ids }) =>
      recordFirstAttempts(
        other,
        ids.toReversed().map((id) => attemptOf(id, REFUSED)),
      ),
    );
  });

  test('E14: deleting a subscription does not either', async () => {
    await atOnce(async (other, { subscriptionId }) =>
      deleteSubscription(other, (await subscriptionRow(other, subscriptionId)).name),
    );
  });
});
