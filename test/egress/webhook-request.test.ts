import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { generateSecret } from '../../src/egress/sign.ts';
import { type Webhook, webhookRequest } from '../../src/egress/webhook-request.ts';
import { VERSION } from '../../src/version.ts';
import { type ReceivedRequest, type Receiver, startReceiver, verify } from '../support/receiver.ts';

const sender = createSender({ guard: createAddressGuard(['127.0.0.1']), timeoutMs: 2_000 });
const secret = generateSecret();
let receiver: Receiver;

beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
});

/** Sends the webhook for real. */
async function received(change: Partial<Webhook> = {}): Promise<ReceivedRequest> {
  const webhook: Webhook = {
    url: `${receiver.url}?a=1`,
    id: '0199aaaa-delivery',
    eventId: 'event-7',
    topic: 'gitlab.push',
    payload: '{"b": 1,  "a":"ž"}',
    attempt: 3,
    timestamp: new Date(),
    secrets: [secret],
    headers: {},
    ...change,
  };
  expect(await sender.post(webhookRequest(webhook))).toMatchObject({ kind: 'response', statusCode: 200 });
  return receiver.requests.at(-1)!;
}

describe('the request of an attempt', () => {
  test("D10: a POST of the payload's exact bytes with these headers and no others", async () => {
    const { method, path, headers, rawBody } = await received();
    expect({ method, path }).toEqual({ method: 'POST', path: '/hook?a=1' });
    expect(rawBody.toString()).toBe('{"b": 1,  "a":"ž"}');
    expect(headers).toEqual({
      host: `127.0.0.1:${receiver.port}`,
      connection: 'keep-alive',
      'content-type': 'application/json',
      'content-length': '19',
      'accept-encoding': 'identity',
      'user-agent': `forgeflow/${VERSION}`,
      'webhook-id': '0199aaaa-delivery',
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/) as string,
      'webhook-signature': expect.stringMatching(/^v1,/) as string,
      'x-hub-signature-256': expect.stringMatching(/^sha256=/) as string,
      'x-forgeflow-topic': 'gitlab.push',
      'x-forgeflow-event-id': 'event-7',
      'x-forgeflow-attempt': '3',
    });
  });

  test('D10: it verifies as a receiver would do it, during a rotation with either secret', async () => {
    const previous = generateSecret();
    const request = await received({ secrets: [secret, previous] });
    expect(verify(request, secret)).toEqual({ a: 'ž', b: 1 });
    expect(verify(request, previous)).toEqual({ a: 'ž', b: 1 });
    expect(() => verify(request, generateSecret())).toThrow('No matching signature found');
  });

  test('D10: every attempt has the same webhook-id and its own timestamp', async () => {
    const first = await received({ attempt: 1, timestamp: new Date(Date.now() - 60_000) });
    const second = await received({ attempt: 2 });
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(Number(second.headers['webhook-timestamp'])).toBe(Number(first.headers['webhook-timestamp']) + 60);
    expect(verify(first, secret)).toEqual(verify(second, secret));
  });

  test("a subscription's headers are added and replace none of ours, in whatever case they come", async () => {
    const added = {
      'X-Api-Key': 'k1',
      'Webhook-Id': 'forged',
      'WEBHOOK-SIGNATURE': 'v1,forged',
      'User-Agent': 'forged',
    };
    const request = await received({ headers: added });
    expect(request.headers['x-api-key']).toBe('k1');
    expect(request.headers['user-agent']).toBe(`forgeflow/${VERSION}`);
    expect(request.headers['webhook-id']).toBe('0199aaaa-delivery');
    expect(verify(request, secret)).toBeDefined();
  });

  test.each(['příklad.změna', '出来事.>', 'a.\u00e9\u{1F600}b'])(
    'a topic outside ASCII, %s, arrives percent-encoded instead of failing',
    async (topic) => {
      const { headers } = await received({ topic, eventId: topic });
      expect(decodeURIComponent(headers['x-forgeflow-topic'] as string)).toBe(topic);
      expect(decodeURIComponent(headers['x-forgeflow-event-id'] as string)).toBe(topic);
    },
  );
});
