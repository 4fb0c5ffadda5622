import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { type NastyBehaviour, startNastyReceiver, type Transport } from '../support/nasty-receivers.ts';
import { startReceiver } from '../support/receiver.ts';

const TIMEOUT_MS = 400;
const sender = createSender({ guard: createAddressGuard(['127.0.0.1']), timeoutMs: TIMEOUT_MS });

/** A status when it counts by its status, else why there was no answer. `cut`: the body is not whole. */
type Expected = { status: number; cut: boolean } | string;

const TIMED_OUT = `timed out after ${TIMEOUT_MS} ms`;
const CLOSED = 'connection closed before the answer was complete';
const MALFORMED = 'malformed HTTP response';
const TOO_LARGE = 'response headers too large';

const table: Record<NastyBehaviour, Expected> = {
  'never answers': TIMED_OUT,
  'never reads the request': TIMED_OUT,
  'drips its headers': TIMED_OUT,
  'drips its body': { status: 200, cut: true },
  'resets at once': 'connection reset',
  'resets after the request': 'connection reset',
  // The status was there, but the receiver did not finish what it promised: it may have failed on the way.
  'resets in the middle of its body': 'connection reset',
  'hangs up without a word': CLOSED,
  'hangs up in the middle of its body': CLOSED,
  'hangs up in the middle of a chunk': CLOSED,
  'refuses before it has read': { status: 413, cut: false },
  'has a body without end': { status: 200, cut: true },
  'has headers without end': TOO_LARGE,
  'has one huge header': TOO_LARGE,
  'sends a gzip bomb': { status: 200, cut: false },
  // undici takes an unasked-for 100 for an error, even where an answer would follow.
  'sends 100 Continue and nothing else': 'unexpected 100 Continue',
  'sends 103 Early Hints and nothing else': TIMED_OUT,
  'sends 103 Early Hints, then answers': { status: 200, cut: false },
  'switches protocols': 'unexpected protocol upgrade',
  'sends a body with its 204': { status: 204, cut: false },
  'speaks another protocol': MALFORMED,
  'sends a broken status line': MALFORMED,
  'sends a broken header': MALFORMED,
  'gives two lengths': MALFORMED,
  'sends a broken chunk': MALFORMED,
  'answers well': { status: 200, cut: false },
};

async function post(url: string, body = 'x'.repeat(1024 * 1024)): Promise<Outcome> {
  return sender.post({ url, headers: {}, body });
}

function expectOutcome(outcome: Outcome, expected: Expected): void {
  expect(outcome).toMatchObject(
    typeof expected === 'string'
      ? { kind: 'connection_error', reason: expected }
      : { kind: 'response', statusCode: expected.status, truncated: expected.cut },
  );
  expect(outcome.durationMs).toBeLessThan(TIMEOUT_MS + 300);
}

describe('a receiver that misbehaves', () => {
  test.each(Object.entries(table) as [NastyBehaviour, Expected][])('D3, D13: %s: %j', async (behaviour, expected) => {
    const receiver = await startNastyReceiver(behaviour);
    try {
      // "at once" must not depend on how the reset meets our writing, so the request is small, except where its size is the point.
      const small =
        behaviour === 'never reads the request' || behaviour === 'refuses before it has read' ? undefined : '{}';
      expectOutcome(await post(receiver.url, small), expected);
      expect(receiver.connections()).toBe(1);
    } finally {
      await receiver.close();
    }
  });

  test.each(['has a body without end', 'has headers without end'] as const)(
    'D13: one that %s is cut off: it gets rid of no more than the buffers between us hold',
    async (behaviour) => {
      const receiver = await startNastyReceiver(behaviour);
      for (let n = 1; n <= 3; n++) await post(receiver.url, '{}');
      const sent = receiver.bytesSent();
      expect(sent / 3).toBeLessThan(8 * 1024 * 1024);
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(receiver.openConnections()).toBe(0);
      expect(receiver.bytesSent()).toBeLessThanOrEqual(sent);
      await receiver.close();
    },
  );

  test('D13: a gzip bomb is kept as it came, not unpacked', async () => {
    const receiver = await startNastyReceiver('sends a gzip bomb');
    const outcome = await post(receiver.url, '{}');
    expect(outcome.kind === 'response' && outcome.body.length).toBeLessThan(40_000);
    await receiver.close();
  });

  test('D13: fifty endless bodies at once leave the memory as it was', async () => {
    const receiver = await startNastyReceiver('has a body without end');
    const before = process.memoryUsage().rss;
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => post(receiver.url, '{}')));
    // A status, or the time limit on a busy machine, but never the body: 50 endless ones would be gigabytes.
    expect(outcomes.every((outcome) => outcome.kind === 'connection_error' || outcome.body.length <= 65_536)).toBe(
      true,
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1024 * 1024);
    await receiver.close();
  });
});

describe('bad TLS', () => {
  test.each<[NastyBehaviour, Transport, string]>([
    ['answers well', 'self-signed tls', 'TLS: self-signed certificate'],
    ['speaks another protocol', 'tcp under an https url', 'TLS: not a TLS server'],
    ['resets at once', 'tcp under an https url', 'connection reset'],
    ['never answers', 'tcp under an https url', TIMED_OUT],
  ])('D3: %s (%s): %s', async (behaviour, transport, reason) => {
    const receiver = await startNastyReceiver(behaviour, transport);
    expectOutcome(await post(receiver.url, '{}'), reason);
    await receiver.close();
  });

  test('D3: plain HTTP under an https URL', async () => {
    const receiver = await startReceiver();
    expectOutcome(await post(receiver.url.replace('http:', 'https:'), '{}'), 'TLS: not a TLS server');
    expect(receiver.requests).toEqual([]);
    await receiver.close();
  });

  test('D3: https under a plain http URL', async () => {
    const receiver = await startNastyReceiver('answers well', 'self-signed tls');
    const outcome = await post(receiver.url.replace('https:', 'http:'), '{}');
    expect(outcome).toMatchObject({ kind: 'connection_error' });
    await receiver.close();
  });
});

test('D3: nobody listens there', async () => {
  const receiver = await startReceiver();
  await receiver.close();
  expectOutcome(await post(receiver.url, '{}'), 'connection refused');
});
