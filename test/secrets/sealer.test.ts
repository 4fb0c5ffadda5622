import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSealer } from '../../src/secrets/sealer.ts';

const newKey = (): string => randomBytes(32).toString('base64');
const DOES_NOT_OPEN = 'a stored secret does not open with this SECRETS_KEY; was it sealed with another one?';
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

describe('sealer', () => {
  const sealer = createSealer(newKey());

  test('what was sealed opens again, whatever it is', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (plain) => sealer.open(sealer.seal(plain)) === plain));
  });

  test('the sealed form does not show the secret, and is new each time', () => {
    const [one, two] = [sealer.seal(SECRET), sealer.seal(SECRET)];
    expect(one.includes(SECRET)).toBe(false);
    expect(one.equals(two)).toBe(false);
  });

  test('another key does not open it', () => {
    expect(() => createSealer(newKey()).open(sealer.seal(SECRET))).toThrow(DOES_NOT_OPEN);
  });

  test('a change of any one byte is noticed', () => {
    const sealed = sealer.seal(SECRET);
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed[index] = sealed[index]! ^ 1;
      expect(() => sealer.open(changed), `byte ${index}`).toThrow(DOES_NOT_OPEN);
    }
  });

  test('so is a value cut short or made longer', () => {
    const sealed = sealer.seal(SECRET);
    for (let length = 0; length < sealed.length; length++) {
      expect(() => sealer.open(sealed.subarray(0, length)), `${length} bytes`).toThrow(DOES_NOT_OPEN);
    }
    expect(() => sealer.open(Buffer.concat([sealed, Buffer.of(0)]))).toThrow(DOES_NOT_OPEN);
  });
});
