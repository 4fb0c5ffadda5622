import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { buildConnector, Client, type Dispatcher, ProxyAgent } from 'undici';
import { type AddressGuard, addressLiteral } from './address-guard.ts';
import { AddressNotAllowedError } from './connection-error.ts';

type Addresses = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/** How names are resolved: `dns.lookup`, or what a test puts in its place. */
export type Lookup = (hostname: string, options: LookupOptions & { all: true }, callback: Addresses) => void;

export interface Dialling {
  guard: AddressGuard;
  timeoutMs: number;
  lookup?: Lookup | undefined;
}

/**
 * Makes the dispatcher of one connection, which serves one request at a time and is destroyed by whoever has it. Not one of
 * undici's pools: after an aborted request these dial the receiver once more, for nothing.
 */
export type MakeDispatcher = (origin: string) => Dispatcher;

/**
 * Dials receivers directly. The guard sees the very addresses that are about to be dialled, after DNS, so that a name
 * which changes its address between a check and the connection (DNS rebinding) gains nothing.
 */
export function directDispatchers({ guard, timeoutMs, lookup = systemLookup }: Dialling): MakeDispatcher {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guardedLookup(guard, lookup), allowH2: false });
  const guardedConnect: buildConnector.connector = (options, callback) => {
    // Node looks up names only; an address in the URL goes straight to the socket.
    const host = options.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && !guard.allows(host)) {
      callback(new AddressNotAllowedError(), null);
      return;
    }
    connect(options, callback);
  };
  return (origin) => new Client(origin, { connect: guardedConnect, ...oneAtATime });
}

/** Hands every request to a forward proxy, which dials; its own address is the operator's word and not guarded. */
export function proxyDispatchers(proxy: string, timeoutMs: number): MakeDispatcher {
  const { origin, username, password } = new URL(proxy);
  // Written here because undici leaves out a user name without a password.
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const tls = { timeout: timeoutMs };
  const settings: ProxyAgent.Options = {
    uri: origin,
    proxyTunnel: false,
    requestTls: tls,
    proxyTls: tls,
    ...(login === ':' ? {} : { token: `Basic ${Buffer.from(login).toString('base64')}` }),
    ...oneRequest,
    factory: (target, options: object) => new Client(target, { ...options, ...oneRequest }),
    clientFactory: tunnelClient,
  };
  return () => new ProxyAgent(settings);
}

// No timeouts of undici's own: the attempt has one for everything.
const oneAtATime = { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 };
// Besides, no keep-alive (`connection: close`).
const oneRequest = { ...oneAtATime, pipelining: 0 };

type OpenTunnel = (options: Dispatcher.ConnectOptions) => Promise<Dispatcher.ConnectData>;

/**
 * A client that asks the proxy for tunnels. Undici takes its own UND_ERR_SOCKET, on a proxy that hangs up, for a passing
 * fault, and dials the proxy again without pause until the time is up; an error without that code ends the request.
 */
function tunnelClient(proxy: URL, options: object): Dispatcher {
  const client = new Client(proxy, options);
  const open: OpenTunnel = client.connect.bind(client);
  const connect: OpenTunnel = async (request) => {
    try {
      return await open(request);
    } catch (error) {
      throw new Error('the proxy opened no tunnel', { cause: error });
    }
  };
  return Object.assign(client, { connect });
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

function guardedLookup(guard: AddressGuard, lookup: Lookup) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
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

/**
 * A proxy resolves names itself, so here the guard can only refuse what is plain beforehand: a name with any address
 * that is not allowed, for the proxy may pick that one. Where the name does not resolve on this side (an inner network
 * often has no outer DNS), the proxy's own rules decide.
 * @throws AddressNotAllowedError
 */
export async function checkBeforeProxy(
  target: URL,
  { guard, lookup = systemLookup }: Omit<Dialling, 'timeoutMs'>,
): Promise<void> {
  const literal = addressLiteral(target);
  const addresses = literal === null ? await resolveOrNothing(target.hostname, lookup) : [literal];
  if (!addresses.every((address) => guard.allows(address))) throw new AddressNotAllowedError();
}

async function resolveOrNothing(hostname: string, lookup: Lookup): Promise<string[]> {
  return new Promise((resolve) => {
    lookup(hostname, { all: true }, (error, found) => {
      resolve(error ? [] : found.map(({ address }) => address));
    });
  });
}
