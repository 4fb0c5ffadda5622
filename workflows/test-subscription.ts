import type { TestSendResult } from '../activities/test-sends.ts';
import { testSends } from './proxies.ts';

/** Sends one request to a subscription from where its webhooks come from, the network of the `egress` workers. */
export async function testSubscription(subscriptionId: string): Promise<TestSendResult> {
  return testSends.sendTest(subscriptionId);
}
