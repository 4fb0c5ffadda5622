import type { IncomingHttpHeaders } from 'node:http';
import { Refusal, type Answer } from './answer.ts';
import { parametersOf } from './body.ts';
import type { Surroundings } from './deliver.ts';
import { match } from './router.ts';
import type { Scope, Tokens } from './tokens.ts';
import type { World } from './world.ts';

export interface ApiRequest {
  method: string;
  /** Below `/api/v4`, without the query, still encoded. */
  path: string;
  query: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A parameter that the route does not know, at the version GitLab had then; it was passed over. */
export interface UnknownParameter {
  method: string;
  path: string;
  name: string;
  version: string;
}

/** What the API works with. */
export interface Api {
  world: World;
  tokens: Tokens;
  within: Surroundings;
  unknownParameters: UnknownParameter[];
}

const READING: readonly Scope[] = ['api', 'read_api'];
const WRITING: readonly Scope[] = ['api'];

/** Never throws: what a route refuses is an answer too, and what it breaks over is GitLab's 500. */
export async function answer(api: Api, request: ApiRequest): Promise<Answer> {
  try {
    return await work(api, request);
  } catch (error) {
    if (error instanceof Refusal) return error.answer;
    console.error('the GitLab stand-in has failed', error);
    return { status: 500, json: { message: '500 Internal Server Error' } };
  }
}

async function work({ world, tokens, within, unknownParameters }: Api, request: ApiRequest): Promise<Answer> {
  const { method, path, query } = request;
  const { route, segments } = match(method, path, within);
  const sufficient = [...(method === 'GET' ? READING : WRITING), ...(route.scopes ?? [])];
  const user = tokens.authenticate(tokenIn(request.headers), sufficient);
  const base = `${within.instance}/api/v4`;
  return route.work({
    world,
    within,
    user,
    segments,
    given: parametersOf(query, request.headers['content-type'] ?? '', request.body),
    pageUrl(changes) {
      const search = new URLSearchParams(query);
      // GitLab's links repeat the path's own parameters in their query.
      for (const [name, value] of Object.entries({ ...segments, ...changes })) search.set(name, String(value));
      return `${base}${path}?${search.toString()}`;
    },
    urlWithId: (id) => `${base}${path.replace(/^(\/\w+\/)[^/]+/, `$1${id}`)}${query === '' ? '' : `?${query}`}`,
    noteUnknown(name) {
      if (name in segments) return;
      unknownParameters.push({ method, path, name, version: within.settings.version });
    },
  });
}

export function tokenIn(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['private-token'];
  if (typeof own === 'string') return own;
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
}
