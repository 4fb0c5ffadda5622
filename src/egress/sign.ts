import { createHmac, randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';

/** The headers that let a receiver check where a request comes from and that it was not changed. */
export type SignatureHeaders = Record<
  'webhook-id' | 'webhook-timestamp' | 'webhook-signature' | 'x-hub-signature-256',
  string
>;

export interface Signing {
  /** The delivery's id: the same on every attempt, so a receiver can drop doubles. */
  id: string;
  /** The moment of this attempt; receivers refuse one that is minutes off theirs. */
  timestamp: Date;
  body: string;
  /** The subscription's secrets, the current one first; more than one while a rotation goes on. */
  secrets: readonly [string, ...string[]];
}

/**
 * Signs by the Standard Webhooks specification (`v1,<base64>`, one for each secret, separated by spaces), and in the way
 * GitHub's receivers know, `x-hub-signature-256`, keyed with the characters of the current secret.
 */
export function sign({ id, timestamp, body, secrets }: Signing): SignatureHeaders {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(timestamp.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, timestamp, body)).join(' '),
    'x-hub-signature-256': `sha256=${createHmac('sha256', secrets[0]).update(body).digest('hex')}`,
  };
}

/** A new secret: `whsec_` and the base64 of 32 random bytes. */
export function generateSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
