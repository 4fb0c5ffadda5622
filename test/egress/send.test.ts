import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Outcome, RESPONSE_BODY_LIMIT } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender, type OutgoingRequest } from '../../src/egress/send.ts';
import { startNastyReceiver } from '../support/nasty-receivers.ts';
import { type Answer, type Receiver, startReceiver } from '../support/receiver.ts';

const guard = createAddressGuard(['127.0.0.1']);
const TIMEOUT_MS = 400;
const sender = createSender({ guard, timeoutMs: TIMEOUT_MS });
let receiver: Receiver;

beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
});

const to = (url: string): OutgoingRequest => ({ url, headers: { 'x-a': 'b' }, body: '{"a":1}' });

async function post(answer: Answer): Promise<Outcome> {
  receiver.answerWith(answer);
  return sender.post(to(receiver.url));
}

describe('an answer', () => {
  test('D13: status, headers, body and duration are kept', async () => {
    const headers = { 'x-one': '1', 'set-cookie': ['a=1', 'b=2'] };
    const outcome = await post({ status: 201, headers, body: 'thanks', delayMs: 50 });
    expect(outcome).toMatchObject({ kind: 'response', statusCode: 201, headers, truncated: false });
    expect(outcome.kind === 'response' && outcome.body.toString()).toBe('thanks');
    expect(outcome.durationMs).toBeGreaterThanOrEqual(45);
    expect(outcome.durationMs).toBeLessThan(TIMEOUT_MS);
  });

  test.each([200, 204, 304, 400, 404, 410, 429, 500, 503])(
    'D3: %i is an outcome, never an exception',
    async (status) => {
      expect(await post({ status })).toMatchObject({ kind: 'response', statusCode: status });
    },
  );

  test.each([301, 302, 303, 307, 308])('D3: a redirect by %i is not followed', async (status) => {
    expect(await post({ status, headers: { location: '/elsewhere' } })).toMatchObject({ statusCode: status });
    await sleep(50);
    expect(receiver.requests.map(({ path }) => path)).toEqual(['/hook']);
  });

  test.each([
    [0, 0, false],
    [RESPONSE_BODY_LIMIT, RESPONSE_BODY_LIMIT, false],
    [RESPONSE_BODY_LIMIT + 1, RESPONSE_BODY_LIMIT, true],
    [5 * 1024 * 1024, RESPONSE_BODY_LIMIT, true],
  ])('D13: of a body of %i bytes %i are kept; cut: %s', async (size, length, truncated) => {
    const body = Buffer.alloc(size, 'x');
    expect(await post({ body })).toMatchObject({ statusCode: 200, truncated, body: body.subarray(0, length) });
  });

  test('D13: a payload of 1 MiB arrives whole', async () => {
    const body = JSON.stringify('ž'.repeat(512 * 1024 - 1));
    expect(await sender.post({ ...to(receiver.url), body })).toMatchObject({ statusCode: 200 });
    expect(receiver.requests[0]!.rawBody.equals(Buffer.from(body))).toBe(true);
  });

  test('a receiver that says so gets a connection for each request', async () => {
    const nasty = await startNastyReceiver('answers well');
    for (let n = 1; n <= 3; n++) await sender.post(to(nasty.url));
    expect(nasty.connections()).toBe(3);
    await nasty.close();
  });
});

describe('the time limit', () => {
  test('covers everything together: a slow name, a slow answer and a slow body', async () => {
    const slow = createSender({
      guard,
      timeoutMs: TIMEOUT_MS,
      lookup: (_, __, callback) => setTimeout(callback, 250, null, [{ address: '127.0.0.1', family: 4 }]),
    });
    receiver.answerWith({ delayMs: 250 });
    const outcome = await slow.post(to(`http://slow.example:${receiver.port}/`));
    expect(outcome).toMatchObject({ kind: 'connection_error', reason: `timed out after ${TIMEOUT_MS} ms` });
    expect(outcome.durationMs).toBeLessThan(TIMEOUT_MS + 150);
  });

  test('holds for a name that never resolves', async () => {
    const stuck = createSender({ guard, timeoutMs: TIMEOUT_MS, lookup: () => undefined });
    const outcome = await stuck.post(to('http://stuck.example/'));
    expect(outcome).toMatchObject({ reason: `timed out after ${TIMEOUT_MS} ms` });
    expect(outcome.durationMs).toBeLessThan(TIMEOUT_MS + 150);
  });

  test('a request that timed out is not made again behind our back', async () => {
    const nasty = await startNastyReceiver('never answers');
    await sender.post(to(nasty.url));
    await sleep(100);
    expect(nasty.connections()).toBe(1);
    await nasty.close();
  });
});

describe("the caller's signal", () => {
  const reason = new Error('the worker is shutting down');

  test.each(['never answers', 'drips its headers', 'drips its body'] as const)(
    'D5: post rejects with its reason, for there is no outcome (the receiver %s)',
    async (behaviour) => {
      const nasty = await startNastyReceiver(behaviour);
      const controller = new AbortController();
      const startedAt = performance.now();
      setTimeout(() => {
        controller.abort(reason);
      }, 100);
      await expect(sender.post(to(nasty.url), controller.signal)).rejects.toBe(reason);
      expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS - 50);
      await sleep(50);
      expect(nasty.connections()).toBe(1);
      await nasty.close();
    },
  );

  test('D5: it need not wait for DNS', async () => {
    const stuck = createSender({ guard, timeoutMs: 60_000, lookup: () => undefined });
    const posting = stuck.post(to('http://stuck.example/'), AbortSignal.timeout(50));
    await expect(posting).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('D5: when it has aborted before, nothing is sent', async () => {
    await expect(sender.post(to(receiver.url), AbortSignal.abort(reason))).rejects.toBe(reason);
    await sleep(50);
    expect(receiver.requests).toEqual([]);
  });

  test('D5: until it aborts it changes nothing: an answer, and the time limit, are outcomes', async () => {
    const { signal } = new AbortController();
    expect(await sender.post(to(receiver.url), signal)).toMatchObject({ statusCode: 200 });
    receiver.answerWith('never');
    expect(await sender.post(to(receiver.url), signal)).toMatchObject({ reason: `timed out after ${TIMEOUT_MS} ms` });
  });
});

test('D5: a request that we made wrong is an exception, and no failure of the receiver', async () => {
  await expect(sender.post({ ...to(receiver.url), headers: { 'bad name': 'x' } })).rejects.toThrow(
    'invalid header key',
  );
  expect(receiver.requests).toEqual([]);
});

test('closing waits for the requests in flight', async () => {
  const closing = createSender({ guard, timeoutMs: TIMEOUT_MS });
  receiver.answerWith({ status: 202, delayMs: 150 });
  let outcome: Outcome | undefined;
  void closing.post(to(receiver.url)).then((value) => (outcome = value));
  await closing.close();
  expect(outcome).toMatchObject({ statusCode: 202 });
});
