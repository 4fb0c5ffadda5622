import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function ingressTokenFile(home: string): string {
  return join(home, 'ingress-token');
}

/** What publishes through the ingress of a home: made once, readable by its owner only. */
export function ingressTokenIn(home: string): string {
  mkdirSync(home, { recursive: true });
  const file = ingressTokenFile(home);
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}
