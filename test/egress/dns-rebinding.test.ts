import type { LookupAddress } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import type { Lookup } from '../../src/egress/dispatcher.ts';
import { createSender } from '../../src/egress/send.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { type NastyReceiver, startNastyReceiver } from '../support/nasty-receivers.ts';

const refused = { kind: 'connection_error', reason: 'address not allowed' };
let receiver: NastyReceiver;

beforeEach(async () => {
  receiver = await startNastyReceiver('answers well');
});
afterEach(async () => {
  await receiver.close();
});

/** A name server that gives each of these answers once, in turn, and then the last one again. */
function answering(...answers: string[][]): Lookup & { asked: number } {
  const lookup = (_name: string, _options: unknown, callback: (error: null, found: LookupAddress[]) => void): void => {
    const addresses = answers[Math.min(lookup.asked, answers.length - 1)]!;
    lookup.asked += 1;
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  lookup.asked = 0;
  return lookup;
}

interface Dialled {
  lookup?: Lookup;
  allowed?: string[];
  proxy?: string;
  name?: string;
}

async function post({ lookup, allowed = [], proxy, name = 'hooks.example' }: Dialled): Promise<Outcome> {
  const sender = createSender({ guard: createAddressGuard(allowed), timeoutMs: 1_000, lookup, proxy });
  return sender.post({ url: `http://${name}:${receiver.port}/`, headers: {}, body: '{}' });
}

describe('a name is judged by the addresses that are dialled', () => {
  test.each(['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', 'fe80::1'])(
    'D11: one that resolves to %s is refused',
    async (address) => {
      expect(await post({ lookup: answering([address]) })).toMatchObject(refused);
      expect(receiver.connections()).toBe(0);
    },
  );

  test('D11: also by the real resolver', async () => {
    expect(await post({ name: 'localhost' })).toMatchObject(refused);
    expect(await post({ name: 'LOCALHOST' })).toMatchObject(refused);
    expect(receiver.connections()).toBe(0);
  });

  test('D11: a name that changes its address after the first request is refused from then on', async () => {
    // The allowed 127.0.0.1 stands for the public address, 127.0.0.2 for an inner one; a receiver of ours listens on neither but the first.
    const lookup = answering(['127.0.0.1'], ['127.0.0.2']);
    expect(await post({ lookup, allowed: ['127.0.0.1'] })).toMatchObject({ statusCode: 200 });
    expect(await post({ lookup, allowed: ['127.0.0.1'] })).toMatchObject(refused);
    expect(receiver.connections()).toBe(1);
  });

  test('D11: a name is resolved once a request, so that nothing can change between the check and the dialling', async () => {
    const lookup = answering(['127.0.0.1'], ['127.0.0.2']);
    await post({ lookup, allowed: ['127.0.0.1'] });
    expect(lookup.asked).toBe(1);
  });

  test('D11: of several addresses only the allowed ones are dialled', async () => {
    const lookup = answering(['127.0.0.2', '::1', '127.0.0.1', '10.0.0.1']);
    expect(await post({ lookup, allowed: ['127.0.0.1'] })).toMatchObject({ statusCode: 200 });
    expect(receiver.connections()).toBe(1);
  });

  test('D3: a name that does not resolve is a connection error', async () => {
    expect(await post({ name: 'no-such-host.invalid' })).toMatchObject({
      kind: 'connection_error',
      reason: expect.stringMatching(/^host name (not found|lookup failed)$/) as string,
    });
  });
});

describe('before a proxy, which resolves names itself', () => {
  test.each([
    ['an inner address', ['10.0.0.1']],
    ['an inner address beside an allowed one', ['127.0.0.1', '10.0.0.1']],
  ])('D11: a name with %s is refused', async (_, addresses) => {
    const proxy = await startForwardProxy();
    const outcome = await post({ lookup: answering(addresses), allowed: ['127.0.0.1'], proxy: proxy.url });
    expect(outcome).toMatchObject(refused);
    expect(proxy.forwarded).toEqual([]);
    await proxy.close();
  });

  test('D11: a name that only the proxy can resolve is left to the proxy', async () => {
    const proxy = await startForwardProxy();
    const unknown: Lookup = (_, __, callback) => {
      callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    };
    // The proxy of this test resolves by the real resolver, for which localhost is no secret.
    const outcome = await post({ lookup: unknown, proxy: proxy.url, name: 'inner.invalid' });
    expect(outcome).toMatchObject({ statusCode: 502 });
    expect(proxy.forwarded).toHaveLength(1);
    await proxy.close();
  });
});
