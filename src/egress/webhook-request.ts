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
      ...lowerCased(webhook.headers),
      'content-type': 'application/json',
      // The answer is kept as it comes; a compressed one would be unreadable, or a bomb.
      'accept-encoding': 'identity',
      'user-agent': `forgeflow/${VERSION}`,
      'x-forgeflow-topic': headerSafe(webhook.topic),
      'x-forgeflow-event-id': headerSafe(webhook.eventId),
      'x-forgeflow-attempt': String(webhook.attempt),
      ...sign({ id: webhook.id, timestamp: webhook.timestamp, body: webhook.payload, secrets: webhook.secrets }),
    },
  };
}

/** Headers differ by their names whatever the case; two spellings of one name would both be sent. */
function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Topics and ids may be in any script, headers may not: what is not ASCII is percent-encoded UTF-8, as in a URL. */
function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, encodeURIComponent);
}
