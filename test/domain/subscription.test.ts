import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import { checkHeader, checkSecret, checkSubscriptionName } from '../../src/domain/subscription.ts';

const secretOf = (bytes: number): string => randomBytes(bytes).toString('base64');

/** The Refusal that the call throws. */
function refusalOf(call: () => unknown): Refusal {
  try {
    call();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('secrets', () => {
  test.each([24, 25, 26, 32, 63, 64])(
    'D10: %i bytes are enough and not too many, with or without the prefix',
    (bytes) => {
      const secret = secretOf(bytes);
      expect(checkSecret(secret)).toBe(`whsec_${secret}`);
      expect(checkSecret(`whsec_${secret}`)).toBe(`whsec_${secret}`);
    },
  );

  test.each([1, 16, 23, 65, 66, 100])('D10: %i bytes are refused', (bytes) => {
    const secret = secretOf(bytes);
    const refusal = refusalOf(() => checkSecret(`whsec_${secret}`));
    expect(refusal.message).toBe(`secret: it is ${bytes} bytes long; 24 to 64 are allowed`);
    expect(refusal.field).toBe('secret');
  });

  test.each([
    ['nothing', ''],
    ['the prefix alone', 'whsec_'],
    ['a password', 'correct horse battery staple'],
    ['URL-safe base64', 'ab-_'.repeat(8)],
    ['missing padding', 'A'.repeat(33)],
    ['padding in the middle', `${'A'.repeat(16)}==${'A'.repeat(14)}`],
    ['a line break', `${'A'.repeat(32)}\n`],
    ['another prefix', `whpk_${'A'.repeat(32)}`],
    ['the prefix twice', `whsec_whsec_${'A'.repeat(32)}`],
  ])('D10: %s is refused as not base64, and not repeated', (_, secret) => {
    const { message } = refusalOf(() => checkSecret(secret));
    expect(message).toMatch(/^secret: it is not base64/);
    if (secret.length > 6) expect(message).not.toContain(secret);
  });

  test('D10: every secret that passes can sign; no refusal repeats the secret', () => {
    const text = fc.oneof(
      fc.string(),
      fc.base64String({ maxLength: 120 }),
      fc.stringMatching(/^[A-Za-z0-9+/=]{20,100}$/),
    );
    fc.assert(
      fc.property(text, (secret) => {
        try {
          return new Webhook(checkSecret(secret)).sign('id', new Date(0), '{}').startsWith('v1,');
        } catch (error) {
          return error instanceof Refusal && (secret.length < 8 || !error.message.includes(secret));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('names', () => {
  test.each(['a', 'ci', 'Build farm 2', 'team/repo@eu-1', 'žluťoučký kůň', 'x'.repeat(64)])(
    'E11: %j is a name',
    (name) => {
      expect(checkSubscriptionName(name)).toBe(name);
    },
  );

  test.each(['', ' a', 'a ', '-a', 'a\nb', 'a"b', "a'b", 'a;b', 'x'.repeat(65)])('E11: %j is not', (name) => {
    expect(refusalOf(() => checkSubscriptionName(name)).field).toBe('name');
  });
});

describe('headers of a subscription', () => {
  test.each([
    ['Authorization', 'Bearer abc'],
    ['x-api-key', 'caf\u00e9 \t~'],
    ['Cookie', ''],
  ])('%s may be added', (name, value) => {
    expect(() => {
      checkHeader(name, value);
    }).not.toThrow();
  });

  test.each([
    'Host',
    'Content-Type',
    'content-length',
    'Transfer-Encoding',
    'Connection',
    'Expect',
    'User-Agent',
    'Accept-Encoding',
    'Proxy-Authorization',
    'Webhook-Id',
    'webhook-signature',
    'X-Hub-Signature',
    'X-Hub-Signature-256',
    'X-Forgeflow-Topic',
  ])('D10: %s is ours and refused', (name) => {
    expect(
      refusalOf(() => {
        checkHeader(name, 'x');
      }).message,
    ).toBe(`header: "${name}" is set by forgeflow itself`);
  });

  test.each(['', 'a b', 'a:b', 'naïve', 'a\r\nb'])('%j is not a header name', (name) => {
    expect(
      refusalOf(() => {
        checkHeader(name, 'x');
      }).message,
    ).toMatch(/is not a header name$/);
  });

  test.each(['a\r\nInjected: yes', 'a\u0000b', '日本'])('the value %j is refused and not repeated', (value) => {
    const { message } = refusalOf(() => {
      checkHeader('X-Key', value);
    });
    expect(message).toMatch(/^header: the value of "X-Key"/);
    expect(message).not.toContain(value);
  });
});
