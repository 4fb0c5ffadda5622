import { createRequesterFn, type FormattedResponse, type RequestHandlerFn } from '@gitbeaker/requester-utils';
import { type Headers, jsonOf } from './answer.ts';
import type { Exchange, Outgoing } from './exchange.ts';
import { type RateLimit, rateLimitOf } from './rate-limit.ts';
import { refusalOf } from './refusal.ts';

/** What every request of a client shares. */
export interface Connection {
  /** GitLab's own address, without a slash at the end. */
  host: string;
  token: string;
  exchange: Exchange;
  /** Told with every answer what it states of the rate limit; null when one that went through states nothing. */
  onRateLimit: (limit: RateLimit | null) => void;
}

/** One call of the client; some make several requests. */
export interface Call {
  signal?: AbortSignal | undefined;
  /** Besides the token, what must not turn up in an error. */
  secrets?: readonly string[] | undefined;
}

/** The options that make a resource class of gitbeaker speak through us, and what it does not hand on of an answer. */
export interface Speaker {
  options: {
    host: string;
    token: string;
    requesterFn: ReturnType<typeof createRequesterFn>;
    queryTimeout: number;
    rateLimits: Record<string, never>;
  };
  /** Of the last answer. */
  headers: () => Headers;
}

/**
 * A requester for gitbeaker that makes exactly one HTTP request per call. Gitbeaker's own repeats a 429 and a 502 up to
 * ten times within 0.4 s, POST too, whatever `Retry-After` says, and cannot be told not to: a POST that succeeded behind
 * a 502 would double the hook. It also has neither a signal nor a limit on the body, and its errors carry the request.
 *
 * Made anew for each call (it is a few closures), because gitbeaker's methods take no signal.
 */
export function speakerFor({ host, token, exchange, onRateLimit }: Connection, call: Call): Speaker {
  let headers: Headers = {};

  const once: RequestHandlerFn = async (endpoint, options = {}): Promise<FormattedResponse> => {
    const outgoing = outgoingOf(endpoint, options as unknown as Handed);
    const answer = await exchange.send(outgoing, call.signal);
    headers = answer.headers;
    const limit = rateLimitOf(headers);
    const wentThrough = answer.status >= 200 && answer.status <= 299;
    if (limit !== null || wentThrough) onRateLimit(limit);
    if (!wentThrough) throw refusalOf(answer, { url: outgoing.url, secrets: [token, ...(call.secrets ?? [])] });
    // Without the headers: gitbeaker would follow a `Link` to the next page by itself.
    return { body: jsonOf(answer) as FormattedResponse['body'], headers: {}, status: answer.status };
  };

  const requesterFn = createRequesterFn((_, options) => Promise.resolve(options), once);
  // No timeout and no limits of gitbeaker's own: the exchange has the one, the run that calls us the other.
  return { options: { host, token, requesterFn, queryTimeout: 0, rateLimits: {} }, headers: () => headers };
}

/** What gitbeaker's createRequesterFn hands over. */
interface Handed {
  prefixUrl: string;
  method: Outgoing['method'];
  headers: Record<string, string>;
  searchParams?: string;
  body?: string;
}

function outgoingOf(endpoint: string, { prefixUrl, method, headers, searchParams, body }: Handed): Outgoing {
  const url = new URL(`${prefixUrl.replace(/\/$/, '')}/${endpoint}`);
  url.search = searchParams ?? '';
  // Gitbeaker gives a DELETE the body `{}`, which GitLab does not want and some proxies refuse.
  if (method !== 'DELETE') return { method, url, headers, ...(body === undefined ? {} : { body }) };
  return {
    method,
    url,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'content-type')),
  };
}
