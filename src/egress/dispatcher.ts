import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, buildConnector, type Dispatcher, ProxyAgent } from 'undici';
import type { AddressGuard } from './address-guard.ts';
import { AddressNotAllowedError } from './connection-error.ts';

/**
 * Dials receivers directly. The guard sees the very addresses that are about to be dialled, after DNS, so that a name
 * which changes its address between a check and the connection (DNS rebinding) gains nothing.
 */
export function directDispatcher(guard: AddressGuard, timeoutMs: number): Dispatcher {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guardedLookup(guard), allowH2: false });
  const guardedConnect: buildConnector.connector = (options, callback) => {
    // Node looks up names only; an address in the URL goes straight to the socket.
    const host = options.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !guard.allows(host)) {
      callback(new AddressNotAllowedError(), null);
      return;
    }
    connect(options, callback);
  };
  return new Agent({ connect: guardedConnect, ...oneRequestPerConnection });
}

/** Hands every request to a forward proxy, which dials; its own address is the operator's word and not guarded. */
export function proxyDispatcher(proxy: string, timeoutMs: number): Dispatcher {
  return new ProxyAgent({
    uri: proxy,
    proxyTunnel: false,
    connectTimeout: timeoutMs,
    requestTls: { timeout: timeoutMs },
    proxyTls: { timeout: timeoutMs },
    ...oneRequestPerConnection,
  });
}

// A kept connection that the receiver closes just as we write to it would look like a failed attempt and cost the
// delivery five minutes; a POST cannot be repeated blindly. A new connection for each request is worth its price.
const oneRequestPerConnection = { pipelining: 0, headersTimeout: 0, bodyTimeout: 0 };

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

function guardedLookup(guard: AddressGuard) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) {
        callback(error, []);
        return;
      }
      const allowed = addresses.filter(({ address }) => guard.allows(address));
      const first = allowed[0];
      if (first === undefined) callback(new AddressNotAllowedError(), []);
      else if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}
