import { VERSION } from '../version.ts';
import type { OutgoingRequest } from './send.ts';
import { sign } from './sign.ts';

export interface Webhook {
  url: string;
  /** The delivery's id. */
  id: string;
  eventId: string;
  topic: string;
  /** The payload's exact stored text. */
  payload: string;
  /** 1 for the first attempt of the delivery. */
  attempt: number;
  timestamp: Date;
  secrets: readonly [string, ...string[]];
  /** What the subscription adds; it cannot replace any of ours. */
  headers: Record<string, string>;
}

/** The whole signed request of one attempt. */
export function webhookRequest(webhook: Webhook): OutgoingRequest {
  return {
    url: webhook.url,
    body: webhook.payload,
    headers: {
      ...webhook.headers,
      'content-type': 'application/json',
      // The answer is kept as it comes; a compressed one would be unreadable, or a bomb.
      'accept-encoding': 'identity',
      'user-agent': `forgeflow/${VERSION}`,
      'x-forgeflow-topic': webhook.topic,
      'x-forgeflow-event-id': webhook.eventId,
      'x-forgeflow-attempt': String(webhook.attempt),
      ...sign({ id: webhook.id, timestamp: webhook.timestamp, body: webhook.payload, secrets: webhook.secrets }),
    },
  };
}
