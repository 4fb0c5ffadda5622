/** Dialling was refused by the address guard. */
export class AddressNotAllowedError extends Error {
  override readonly name = 'AddressNotAllowedError';

  constructor() {
    super('address not allowed');
  }
}

const KNOWN_CODES: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by the receiver',
  EPIPE: 'connection reset by the receiver',
  UND_ERR_SOCKET: 'connection closed by the receiver before it answered',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name lookup failed',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_OVERFLOW: 'response headers too large',
};

const TLS_CODE = /^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * A few words on why no answer came, for the log of a delivery. Built from codes alone: the messages of errors can
 * carry URLs, and with them the credentials of a proxy.
 */
export function describeConnectionError(error: unknown): string {
  for (const cause of causesOf(error)) {
    if (cause instanceof AddressNotAllowedError) return cause.message;
    const code = codeOf(cause);
    if (code === undefined) continue;
    if (TLS_CODE.test(code)) return `TLS: ${code.toLowerCase().replaceAll('_', ' ')}`;
    if (code.startsWith('HPE_')) return 'malformed HTTP response';
    const known = KNOWN_CODES[code];
    if (known !== undefined) return known;
  }
  const tunnel = /Proxy response \((\d+)\)/.exec(error instanceof Error ? error.message : '');
  if (tunnel) return `proxy refused the tunnel with ${tunnel[1] ?? 'no status'}`;
  return codeOf(error)?.toLowerCase().replaceAll('_', ' ') ?? 'request failed';
}

/** The error, its causes, and what an AggregateError gathered (happy eyeballs tries several addresses). */
function* causesOf(error: unknown, depth = 0): Generator {
  if (error === undefined || error === null || depth > 4) return;
  yield error;
  if (error instanceof AggregateError) for (const inner of error.errors) yield* causesOf(inner, depth + 1);
  if (error instanceof Error) yield* causesOf(error.cause, depth + 1);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
