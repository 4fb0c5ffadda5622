import { invalid } from './refusal.ts';

export const SUBSCRIPTION_STATES = ['active', 'paused', 'tripped'] as const;
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number];

/** How long the old secret goes on signing beside the new one after a rotation, in ms. */
export const SECRET_ROTATION_MS = 24 * 60 * 60 * 1000;
/** How much of a failure a subscription remembers as `lastError`, in characters. */
export const LAST_ERROR_LIMIT = 512;

const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = { least: 24, most: 64 };

export function checkSubscriptionName(name: string): string {
  if (name.length < 1 || name.length > 64)
    throw invalid('name', `it has ${name.length} characters; 1 to 64 are allowed`);
  // Names stand in workflow summaries, visibility queries and shell commands, where quotes and line breaks do harm.
  if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@/+-]*$/u.test(name) || name.endsWith(' ')) {
    throw invalid('name', 'it starts with a letter or digit and goes on with letters, digits, spaces and . _ @ / + -');
  }
  return name;
}

/**
 * A signing secret as the Standard Webhooks specification writes it, `whsec_` and base64 of 24 to 64 bytes; the prefix may be left out.
 * @returns the secret with its prefix
 * @throws Refusal that does not repeat the secret
 */
export function checkSecret(secret: string): string {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
    throw invalid('secret', `it is not base64; expected "${SECRET_PREFIX}" and the base64 of 24 to 64 random bytes`);
  }
  const padding = encoded.length - encoded.replace(/=+$/, '').length;
  const bytes = (encoded.length / 4) * 3 - padding;
  if (bytes < SECRET_BYTES.least || bytes > SECRET_BYTES.most) {
    throw invalid('secret', `it is ${bytes} bytes long; ${SECRET_BYTES.least} to ${SECRET_BYTES.most} are allowed`);
  }
  return SECRET_PREFIX + encoded;
}

const RESERVED_HEADERS =
  /^(content-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|user-agent|proxy-.*|webhook-.*|x-hub-signature.*|x-forgeflow-.*)$/;

/**
 * Checks a header that a subscription adds to its requests.
 * @throws Refusal that does not repeat the value, which may be a credential
 */
export function checkHeader(name: string, value: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw invalid('header', `"${name}" is not a header name`);
  if (RESERVED_HEADERS.test(name.toLowerCase())) throw invalid('header', `"${name}" is set by forgeflow itself`);
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw invalid('header', `the value of "${name}" has a character that no HTTP header may carry`);
  }
}
