// A twin of the workflows that breaks with every history: the replay test must tell it from the real ones.
import { sleep } from '@temporalio/workflow';
import {
  deliverFirstAttempts as deliverTogether,
  type DeliverFirstAttemptsInput,
} from '../../workflows/deliver-first-attempts.ts';
import type { FirstAttemptsResult } from '../../src/domain/first-attempts.ts';
import { deliverWebhook as deliver, type DeliverWebhookInput } from '../../workflows/deliver-webhook.ts';
import job from '../../workflows/jobs.ts';
import type { DeliveryStatus } from '../../workflows/messages.ts';

export { testSubscription } from '../../workflows/test-subscription.ts';

export async function deliverWebhook(input: DeliverWebhookInput): Promise<DeliveryStatus> {
  await sleep('1 second');
  return deliver(input);
}

export async function deliverFirstAttempts(input: DeliverFirstAttemptsInput): Promise<FirstAttemptsResult> {
  await sleep('1 second');
  return deliverTogether(input);
}

/** A job of any kind. */
export default async function (payload: unknown): Promise<unknown> {
  await sleep('1 second');
  return job(payload);
}
