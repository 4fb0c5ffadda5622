import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { checkSecret } from '../../src/domain/subscription.ts';
import { generateSecret, sign } from '../../src/egress/sign.ts';

// The vector that the Standard Webhooks project publishes.
const vector = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: new Date(1614265330 * 1000),
  body: '{"test": 2432232314}',
  secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'] as [string],
};

function verifies(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

describe('signing', () => {
  test('D10: the known vector', () => {
    expect(sign(vector)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      'x-hub-signature-256': expect.stringMatching(/^sha256=[0-9a-f]{64}$/) as string,
    });
  });

  test("D10: X-Hub-Signature-256 is GitHub's: HMAC of the body, keyed with the characters of the current secret", () => {
    const github = createHmac('sha256', vector.secrets[0]).update(vector.body).digest('hex');
    expect(sign({ ...vector, secrets: [vector.secrets[0], generateSecret()] })['x-hub-signature-256']).toBe(
      `sha256=${github}`,
    );
  });

  test('D10: parts of a second are left out of the timestamp, in the header and in what is signed', () => {
    const late = { ...vector, timestamp: new Date(vector.timestamp.getTime() + 999) };
    expect(sign(late)).toEqual(sign(vector));
  });

  test('D10: during a rotation both secrets sign, the current one first, and a receiver with either is content', () => {
    const [current, previous, other] = [generateSecret(), generateSecret(), generateSecret()];
    const body = '{"a":1}';
    const headers = sign({ id: 'd1', timestamp: new Date(), body, secrets: [current, previous] });
    expect(headers['webhook-signature']).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/);
    expect(headers['webhook-signature'].split(' ')[0]).toBe(
      sign({ id: 'd1', timestamp: new Date(), body, secrets: [current] })['webhook-signature'],
    );
    expect([current, previous, other].map((secret) => verifies(secret, body, headers))).toEqual([true, true, false]);
  });

  test('D10: any body verifies, and no other one does', () => {
    const secret = generateSecret();
    fc.assert(
      fc.property(fc.json(), fc.string({ unit: 'grapheme', minLength: 1 }), (body, more) => {
        const headers = sign({ id: 'd1', timestamp: new Date(), body, secrets: [secret] });
        return verifies(secret, body, headers) && !verifies(secret, body + more, headers);
      }),
      { numRuns: 200 },
    );
  });

  test('D10: an attempt of ten minutes ago does not verify any more', () => {
    const secret = generateSecret();
    const old = new Date(Date.now() - 600_000);
    expect(verifies(secret, '{}', sign({ id: 'd1', timestamp: old, body: '{}', secrets: [secret] }))).toBe(false);
  });
});

test('D10: a generated secret is new each time and passes our own check', () => {
  const secret = generateSecret();
  expect(checkSecret(secret)).toBe(secret);
  expect(generateSecret()).not.toBe(secret);
});
