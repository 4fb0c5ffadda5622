import { v7 as uuidv7 } from 'uuid';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { findSubscriptionById, type SubscriptionRow } from '../src/database/subscriptions.ts';
import { isSuccess } from '../src/domain/outcome.ts';
import type { EgressGate } from '../src/egress/gate.ts';
import type { Sender } from '../src/egress/send.ts';
import { webhookRequest } from '../src/egress/webhook-request.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { webhookDeliveryRetry } from './failures.ts';
import { openHeaders, openSecrets } from './sealed-subscription.ts';

/** What came of a test send. `statusCode` is null where there was no answer, `connectionError` where there was one. */
export interface TestSendResult {
  outcome: { statusCode: number | null; connectionError: string | null; durationMs: number };
  successful: boolean;
}

export type TestSends = ReturnType<typeof createTestSends>;

export interface TestSendsDependencies {
  db: ForgeflowDatabase;
  sender: Sender;
  sealer: Sealer;
  gate: EgressGate;
}

/** A person waits for it. */
const GATE_PATIENCE_MS = 10_000;

export function createTestSends({ db, sender, sealer, gate }: TestSendsDependencies) {
  return {
    async sendTest(subscriptionId: string): Promise<TestSendResult> {
      try {
        return await send(subscriptionId);
      } catch (error) {
        throw webhookDeliveryRetry(error);
      }
    },
  };

  async function send(subscriptionId: string): Promise<TestSendResult> {
    const subscription = await findSubscriptionById(db, subscriptionId);
    if (subscription === undefined) throw new Error('the subscription is gone');
    // In a lane of its own: deliveries that hang are often what it is to find out about.
    const place = await gate.enter(`test/${subscriptionId}`, GATE_PATIENCE_MS);
    if (place === null) throw new Error('all places for requests are taken; try again in a moment');
    try {
      return await post(subscription);
    } finally {
      place.leave();
    }
  }

  async function post(subscription: SubscriptionRow): Promise<TestSendResult> {
    const request = webhookRequest({
      url: subscription.url,
      id: uuidv7(),
      eventId: uuidv7(),
      topic: 'test.ping',
      payload: JSON.stringify({ ping: true }),
      attempt: 1,
      timestamp: new Date(),
      secrets: openSecrets(sealer, {
        secretSealed: subscription.secret_sealed,
        previousSecretSealed: subscription.previous_secret_sealed,
        previousSecretExpiresAt: subscription.previous_secret_expires_at,
      }),
      headers: openHeaders(sealer, subscription.headers_sealed),
    });
    const outcome = await sender.post(request);
    return {
      outcome: {
        statusCode: outcome.kind === 'response' ? outcome.statusCode : null,
        connectionError: outcome.kind === 'connection_error' ? outcome.reason : null,
        durationMs: outcome.durationMs,
      },
      successful: isSuccess(outcome),
    };
  }
}
