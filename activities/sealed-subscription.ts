import type { Sealer } from '../src/secrets/sealer.ts';

export interface SealedSecrets {
  secretSealed: Buffer;
  previousSecretSealed: Buffer | null;
  previousSecretExpiresAt: Date | null;
}

/** The secrets that sign now, the current one first; two while a rotation goes on. */
export function openSecrets(sealer: Sealer, sealed: SealedSecrets): [string, ...string[]] {
  const { secretSealed, previousSecretSealed: previous, previousSecretExpiresAt: expiry } = sealed;
  const current = sealer.open(secretSealed);
  return previous !== null && expiry !== null && expiry.getTime() > Date.now()
    ? [current, sealer.open(previous)]
    : [current];
}

/** The headers that a subscription adds to its requests. */
export function openHeaders(sealer: Sealer, headersSealed: Buffer): Record<string, string> {
  return JSON.parse(sealer.open(headersSealed)) as Record<string, string>;
}
