import { CONNECTION_WORDS } from '../domain/connection-words.ts';

/** Dialling was refused by the address guard. */
export class AddressNotAllowedError extends Error {
  override readonly name = 'AddressNotAllowedError';

  constructor() {
    super('address not allowed');
  }
}

const KNOWN_CODES: Readonly<Record<string, string>> = {
  ...CONNECTION_WORDS,
  UND_ERR_HEADERS_OVERFLOW: 'response headers too large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'malformed HTTP response',
};

const TLS_CODES: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate of an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate of an unknown authority',
  CERT_HAS_EXPIRED: 'certificate expired',
  CERT_NOT_YET_VALID: 'certificate not yet valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate of another host',
  ERR_SSL_WRONG_VERSION_NUMBER: 'not a TLS server',
  EPROTO: 'handshake failed',
};

const TLS_CODE = /^(ERR_SSL|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/**
 * A few words on why no answer came, for the log of a delivery. Built from codes alone: the messages of errors can
 * carry URLs, and with them the credentials of a proxy.
 */
export function describeConnectionError(error: unknown): string {
  for (const cause of causesOf(error)) {
    if (cause instanceof AddressNotAllowedError) return cause.message;
    if (cause instanceof Error && cause.name === 'HTTPParserError') return 'malformed HTTP response';
    const code = codeOf(cause);
    if (code === undefined) continue;
    if (TLS_CODE.test(code)) return `TLS: ${TLS_CODES[code] ?? inWords(code)}`;
    if (code === 'UND_ERR_SOCKET' && messageOf(cause) === 'bad response') return 'unexpected 100 Continue';
    if (code === 'UND_ERR_SOCKET' && messageOf(cause) === 'bad upgrade') return 'unexpected protocol upgrade';
    const known = KNOWN_CODES[code];
    if (known !== undefined) return known;
  }
  const tunnel = /Proxy response \((\d+)\)/.exec(messageOf(error));
  if (tunnel?.[1] === '407' || messageOf(error).startsWith(PROXY_LOGIN)) return 'proxy asks for other credentials';
  if (tunnel) return `proxy refused the tunnel with ${tunnel[1] ?? 'no status'}`;
  const code = codeOf(error);
  return code === undefined ? 'request failed' : inWords(code);
}

/** Undici's complaints about the request itself, or about a sender that was closed: nothing the receiver did. */
export function isOurFault(error: unknown): boolean {
  return OUR_FAULTS.has(codeOf(error) ?? '') && !messageOf(error).startsWith(PROXY_LOGIN);
}

const OUR_FAULTS = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED']);
// Undici files a proxy's 407 under invalid arguments.
const PROXY_LOGIN = 'Proxy Authentication Required';

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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

function inWords(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}
