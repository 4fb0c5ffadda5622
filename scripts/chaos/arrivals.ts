import type { ReceivedWebhook } from './receiver.ts';

export interface Pair {
  eventId: string;
  subscription: string;
  /** All that it was received under; should be one. */
  webhookIds: Set<string>;
  requests: number;
  firstAt: number;
}

/** What the receiver got, by event and subscription. */
export class Arrivals {
  readonly #pairs = new Map<string, Pair>();
  requests = 0;

  note(webhooks: ReceivedWebhook[]): void {
    for (const { eventId, subscription, webhookId, at } of webhooks) {
      this.requests += 1;
      const key = keyOf(eventId, subscription);
      const pair = this.#pairs.get(key);
      if (pair === undefined) {
        this.#pairs.set(key, { eventId, subscription, webhookIds: new Set([webhookId]), requests: 1, firstAt: at });
      } else {
        pair.webhookIds.add(webhookId);
        pair.requests += 1;
      }
    }
  }

  /** How many different ones have come. */
  get count(): number {
    return this.#pairs.size;
  }

  get(eventId: string, subscription: string): Pair | undefined {
    return this.#pairs.get(keyOf(eventId, subscription));
  }

  all(): Pair[] {
    return [...this.#pairs.values()];
  }
}

function keyOf(eventId: string, subscription: string): string {
  return `${eventId} ${subscription}`;
}
