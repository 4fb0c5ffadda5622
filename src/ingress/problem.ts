import { isConnectionFault } from '../database/connection.ts';
import { Late } from '../deadline.ts';
import { Refusal, type RefusalKind } from '../domain/refusal.ts';

/** Why a request gets another answer than the one it asked for. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** For the log: fixed words, so that nothing of a request can get there. The message is for the sender alone. */
  readonly reason: string;
  readonly headers: Record<string, string>;

  constructor(status: number, reason: string, sentence: string, headers: Record<string, string> = {}) {
    super(sentence);
    this.status = status;
    this.reason = reason;
    this.headers = headers;
  }
}

const REFUSALS: Record<RefusalKind, number> = { invalid: 400, too_large: 413, not_found: 404, conflict: 409 };

/**
 * What to answer to a request that ended in this error. Unknown ones are a 500 that says nothing of them.
 * @param bodyLimit of the route, in bytes
 */
export function problemOf(error: unknown, bodyLimit?: number): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) {
    return new Problem(REFUSALS[error.kind], `${error.kind}: ${error.field ?? 'request'}`, error.message);
  }
  if (isDatabaseAway(error)) return databaseAway(codeOf(error) ?? 'no answer');
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem(
        413,
        'body too large',
        `body: it is larger than the ${bodyLimit ?? 0} bytes that are taken here`,
      );
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem(415, 'wrong content type', 'Content-Type: it is not application/json');
    default:
      return statusOf(error) < 500
        ? new Problem(statusOf(error), codeOf(error) ?? 'unreadable request', 'the request could not be read')
        : new Problem(500, 'fault of ours', 'something went wrong on this side; its log says what');
  }
}

export function databaseAway(reason: string): Problem {
  const sentence = 'the database does not answer; send the request again later';
  return new Problem(503, `database away: ${reason}`, sentence, { 'retry-after': '10' });
}

// A full disk, too many connections, a server that starts, stands by, or was never migrated: whatever it is, the sender
// has done nothing wrong, and the same request can be stored later.
const NOT_NOW = /^(53...|57...|58...|28...|3D000|25006|42P01|42703)$/;

function isDatabaseAway(error: unknown): boolean {
  return error instanceof Late || isConnectionFault(error) || NOT_NOW.test(codeOf(error) ?? '');
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function statusOf(error: unknown): number {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : 500;
}
