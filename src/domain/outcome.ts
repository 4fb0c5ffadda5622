/** What a receiver answered. The body is cut at {@link RESPONSE_BODY_LIMIT}; `truncated` says whether it was. */
export interface Response {
  kind: 'response';
  statusCode: number;
  headers: Record<string, string | string[]>;
  body: Buffer;
  truncated: boolean;
  durationMs: number;
}

/** No answer came: refused, reset, DNS, TLS, timeout, proxy; or we refused to dial (`address not allowed`). */
export interface ConnectionError {
  kind: 'connection_error';
  /** A few words for the log of the delivery, never with a secret: `connection refused`. */
  reason: string;
  durationMs: number;
}

/** What one attempt came to. Always data: a receiver's bad answer is never an exception of ours. */
export type Outcome = Response | ConnectionError;

/** How much of a response body is kept, in bytes. */
export const RESPONSE_BODY_LIMIT = 64 * 1024;

export function isSuccess(outcome: Outcome): boolean {
  return outcome.kind === 'response' && outcome.statusCode >= 200 && outcome.statusCode <= 299;
}

/** The receiver says the endpoint is gone for good, so trying again, or sending it anything else, makes no sense. */
export function isGone(outcome: Outcome): boolean {
  return outcome.kind === 'response' && outcome.statusCode === 410;
}

/** Why the attempt failed, in the words a delivery shows; null when it succeeded. */
export function failureDetail(outcome: Outcome): string | null {
  if (isSuccess(outcome)) return null;
  return outcome.kind === 'response'
    ? `Bad HTTP response: ${outcome.statusCode}`
    : `Connection error: ${outcome.reason}`;
}

/** The receiver's `Retry-After`, where its status gives that header a meaning (429 and 503); else undefined. */
export function retryAfterHeader(outcome: Outcome): string | undefined {
  if (outcome.kind !== 'response' || (outcome.statusCode !== 429 && outcome.statusCode !== 503)) return undefined;
  const value = outcome.headers['retry-after'];
  return Array.isArray(value) ? value[0] : value;
}
