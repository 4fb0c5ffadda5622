import { createHash, randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { Sealer } from './sealer.ts';

/** What the requests of one hook carry, so that the ingress knows them. */
export interface HookSecret {
  /** UUID, by which the secret can be spoken of where all may read it. */
  secretId: string;
  /** For GitLab alone; kept only sealed, and never logged. */
  token: string;
  sealed: Buffer;
  /** SHA-256 of the token, by which the ingress looks it up. */
  tokenHash: Buffer;
}

const TOKEN_BYTES = 32;

export function newHookSecret(sealer: Sealer): HookSecret {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  return {
    secretId: uuidv7(),
    token,
    sealed: sealer.seal(token),
    tokenHash: createHash('sha256').update(token).digest(),
  };
}
