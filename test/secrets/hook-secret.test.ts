import { createHash, randomBytes } from 'node:crypto';
import { validate, version } from 'uuid';
import { describe, expect, test } from 'vitest';
import { newHookSecret } from '../../src/secrets/hook-secret.ts';
import { createSealer } from '../../src/secrets/sealer.ts';

describe('G8: the secret of a hook', () => {
  const sealer = createSealer(randomBytes(32).toString('base64'));

  test('is 32 random bytes that a header carries, each one fresh', () => {
    const tokens = Array.from({ length: 50 }, () => newHookSecret(sealer).token);
    expect(new Set(tokens).size).toBe(50);
    for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
  });

  test('is kept sealed, and known by a hash; its id tells nothing of it', () => {
    const { secretId, token, sealed, tokenHash } = newHookSecret(sealer);
    expect(validate(secretId) && version(secretId)).toBe(7);
    expect(sealer.open(sealed)).toBe(token);
    expect(sealed.includes(token)).toBe(false);
    expect(tokenHash).toEqual(createHash('sha256').update(token).digest());
  });
});
