import { WorkflowFailedError } from '@temporalio/client';
import { expect } from 'vitest';
import type { DeliveryHandle } from './deliveries.ts';
import type { DeliveryWithAttempts, ForgeflowClient } from '../../src/index.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What the attempts themselves take of the real clock, all together. */
const DRIFT_MS = 60_000;

/** When attempts at a receiver that is dead for 24 h are made, from the first on. */
const SCHEDULE = [
  ...Array.from({ length: 13 }, (_, index) => index * 5 * MINUTE),
  ...Array.from({ length: 23 }, (_, index) => (index + 2) * HOUR),
];

/** So many attempts were made, each at its time. */
export function expectOnSchedule({ attempts }: DeliveryWithAttempts, count: number): void {
  const first = Date.parse(attempts[0]!.sentAt);
  expect(attempts.map(({ number }) => number)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  for (const { number, sentAt } of attempts) {
    const late = Date.parse(sentAt) - first - SCHEDULE[number - 1]!;
    expect(late, `attempt ${number}`).toBeGreaterThanOrEqual(0);
    expect(late, `attempt ${number}`).toBeLessThan(DRIFT_MS);
  }
}

/** Its receiver was dead for all of its 24 h, and so it has failed for good, in its records and as a workflow. */
export async function expectFailedAfter24Hours(
  forgeflow: ForgeflowClient,
  { id, handle }: { id: string; handle: DeliveryHandle },
  dateFirstSent: string | null,
): Promise<void> {
  const error: unknown = await handle.result().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect((error as WorkflowFailedError).cause).toMatchObject({
    type: 'WebhookDeliveryFailure',
    message: 'Connection error: connection refused (attempts made: 36)',
  });
  const delivery = await forgeflow.deliveries.show(id);
  expectOnSchedule(delivery, 36);
  expect(delivery).toMatchObject({
    state: 'failed',
    pending: false,
    successful: false,
    failureDetail: 'Connection error: connection refused',
    attemptCount: 36,
    dateFirstSent,
    dateSent: delivery.attempts[35]!.sentAt,
    nextAttemptAt: null,
  });
}
