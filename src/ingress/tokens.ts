import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** In constant time, whatever their lengths: of equal length are the digests. */
export function isSameToken(given: string, right: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(right));
}

export function bearerOf({ authorization }: IncomingHttpHeaders): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}
