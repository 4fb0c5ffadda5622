import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { type ForwardProxy, type ForwardProxyOptions, startForwardProxy } from '../support/forward-proxy.ts';
import { LOCALHOST_CERTIFICATE_FILE, type NastyBehaviour, startNastyReceiver } from '../support/nasty-receivers.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const TIMEOUT_MS = 500;
const PASSWORD = 's3cret/p:w';
const LOGIN = `ann:${encodeURIComponent(PASSWORD)}`;
let receiver: Receiver;
let opened: { close(): Promise<void> }[];

beforeEach(async () => {
  receiver = await startReceiver();
  opened = [receiver];
});
afterEach(async () => {
  for (const each of opened) await each.close();
});

async function openProxy(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const proxy = await startForwardProxy(options);
  opened.push(proxy);
  return proxy;
}

async function openNasty(behaviour: NastyBehaviour, transport: 'tcp' | 'self-signed tls' = 'tcp') {
  const nasty = await startNastyReceiver(behaviour, transport);
  opened.push(nasty);
  return nasty;
}

async function postThrough(proxy: string, url = receiver.url): Promise<Outcome> {
  const sender = createSender({ guard: createAddressGuard(['127.0.0.1']), timeoutMs: TIMEOUT_MS, proxy });
  return sender.post({ url, headers: { 'x-a': 'b' }, body: '{"a":1}' });
}

describe('through a forward proxy', () => {
  test('D9: plain http is handed over whole', async () => {
    const proxy = await openProxy();
    receiver.answerWith({ status: 201, body: 'thanks' });
    expect(await postThrough(proxy.url)).toMatchObject({ statusCode: 201, body: Buffer.from('thanks') });
    expect(proxy.forwarded).toEqual([{ method: 'POST', target: receiver.url }]);
    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/hook' });
    expect(request!.headers).toMatchObject({ host: `127.0.0.1:${receiver.port}`, 'x-a': 'b', via: '1.1 test' });
    expect(request!.rawBody.toString()).toBe('{"a":1}');
  });

  test('D9: https goes through a tunnel, and the certificate is checked at its end', async () => {
    const proxy = await openProxy();
    const nasty = await openNasty('answers well', 'self-signed tls');
    expect(await postThrough(proxy.url, nasty.url)).toMatchObject({
      reason: 'TLS: self-signed certificate (through the proxy)',
    });
    expect(proxy.forwarded).toEqual([{ method: 'CONNECT', target: `127.0.0.1:${nasty.port}` }]);
  });

  test.each([undefined, LOGIN])(
    'D9: https succeeds where the certificate is trusted (credentials: %s)',
    async (login) => {
      const proxy = await openProxy(login === undefined ? {} : { credentials: `ann:${PASSWORD}` });
      const nasty = await openNasty('answers well', 'self-signed tls');
      // Node reads the certificates that it trusts beside its own when it starts.
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', new URL('post-once.ts', import.meta.url).pathname, nasty.url, withLogin(proxy, login)],
        { env: { ...process.env, NODE_EXTRA_CA_CERTS: LOCALHOST_CERTIFICATE_FILE } },
      );
      expect(JSON.parse(stdout)).toMatchObject({ kind: 'response', statusCode: 200 });
      expect(proxy.forwarded.map(({ method }) => method)).toEqual(['CONNECT']);
    },
  );

  test.each([
    ['a password', `ann:${PASSWORD}`, LOGIN],
    ['none', 'token:', 'token'],
  ])('D9: a user with %s is let in', async (_, credentials, login) => {
    const proxy = await openProxy({ credentials });
    expect(await postThrough(withLogin(proxy, login))).toMatchObject({ statusCode: 200 });
    expect(receiver.requests[0]!.headers).not.toHaveProperty('proxy-authorization');
  });
});

describe('a missing or broken proxy is a connection error (D9)', () => {
  /** The same for a plain request and for a tunnel. */
  async function expectReason(proxyUrl: string, reason: string | RegExp): Promise<void> {
    const secure = await openNasty('answers well', 'self-signed tls');
    for (const url of [receiver.url, secure.url]) {
      const outcome = await postThrough(proxyUrl, url);
      expect(outcome).toMatchObject({ kind: 'connection_error', reason: expect.stringMatching(reason) as string });
      expect(JSON.stringify(outcome)).not.toMatch(/s3cret|ann/);
      expect(outcome.durationMs).toBeLessThan(TIMEOUT_MS + 200);
    }
    expect(receiver.requests).toEqual([]);
    expect(secure.connections()).toBe(0);
  }

  test('D9: nothing listens', async () => {
    const proxy = await openProxy();
    await proxy.close();
    await expectReason(withLogin(proxy, LOGIN), /^connection refused \(through the proxy\)$/);
  });

  test('D9: its name does not resolve', async () => {
    await expectReason(`http://${LOGIN}@no-such-host.invalid:3128`, /^host name .* \(through the proxy\)$/);
  });

  test('D9: it never answers; its connection is let go', async () => {
    const silent = await openNasty('never answers');
    await expectReason(
      `http://${LOGIN}@127.0.0.1:${silent.port}`,
      new RegExp(`^timed out after ${TIMEOUT_MS} ms \\(through the proxy\\)$`),
    );
    await sleep(50);
    expect(silent.connections()).toBe(2);
    expect(silent.openConnections()).toBe(0);
  });

  test.each<[NastyBehaviour, RegExp]>([
    ['speaks another protocol', /^malformed HTTP response \(through the proxy\)$/],
    ['resets at once', /^connection reset \(through the proxy\)$/],
    ['hangs up without a word', /^connection closed before the answer was complete \(through the proxy\)$/],
  ])('D9: it %s', async (behaviour, reason) => {
    const broken = await openNasty(behaviour);
    await expectReason(`http://${LOGIN}@127.0.0.1:${broken.port}`, reason);
    expect(broken.connections()).toBe(2); // one for each request: undici left alone dials thousands of times
  });

  test.each([
    ['wrong ones', 'ann:s3cretly-wrong'],
    ['none', undefined],
  ])('D9: it wants other credentials than %s', async (_, login) => {
    const proxy = await openProxy({ credentials: `ann:${PASSWORD}` });
    await expectReason(withLogin(proxy, login), /^proxy asks for other credentials$/);
    expect(proxy.refused).toHaveLength(2);
  });

  test('D9: it cannot reach the receiver', async () => {
    const proxy = await openProxy();
    const gone = await startNastyReceiver('answers well', 'self-signed tls');
    await gone.close();
    expect(await postThrough(proxy.url, gone.url)).toMatchObject({ reason: 'proxy refused the tunnel with 502' });
    // Without a tunnel nobody can tell the proxy's 502 from one of the receiver.
    expect(await postThrough(proxy.url, gone.url.replace('https', 'http'))).toMatchObject({ statusCode: 502 });
  });

  test("D5: the caller's signal ends the waiting for a silent proxy", async () => {
    const silent = await openNasty('never answers');
    const sender = createSender({
      guard: createAddressGuard(['127.0.0.1']),
      timeoutMs: 60_000,
      proxy: `http://127.0.0.1:${silent.port}`,
    });
    const posting = sender.post({ url: 'https://127.0.0.1:1/', headers: {}, body: '' }, AbortSignal.timeout(100));
    await expect(posting).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

function withLogin(proxy: ForwardProxy, login: string | undefined): string {
  return `http://${login === undefined ? '' : `${login}@`}127.0.0.1:${proxy.port}`;
}
