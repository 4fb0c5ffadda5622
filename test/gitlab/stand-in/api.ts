import { onTestFinished } from 'vitest';
import { startGitlab, type Gitlab, type GitlabOptions } from '../../support/gitlab/index.ts';

export interface ApiAnswer {
  status: number;
  headers: Headers;
  /** The body, parsed when it is JSON. */
  body: unknown;
}

/** One that is gone with the test. */
export async function gitlabForTest(options?: GitlabOptions): Promise<Gitlab> {
  const gitlab = await startGitlab(options);
  onTestFinished(async () => gitlab.close());
  return gitlab;
}

/** Asks the API as the bot, or with another token, or with none (null). Redirects are not followed. */
export async function ask(
  gitlab: Gitlab,
  request: string,
  body?: unknown,
  { token = gitlab.token, headers = {} }: { token?: string | null; headers?: Record<string, string> } = {},
): Promise<ApiAnswer> {
  const [method = '', path = ''] = request.split(' ');
  const response = await fetch(`${gitlab.url}/api/v4${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== null && { 'PRIVATE-TOKEN': token }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return { status: response.status, headers: response.headers, body: isJson ? (JSON.parse(text) as unknown) : text };
}

/** The address that a Link header gives this relation. */
export function linkTo(rel: string, headers: Headers): URL | undefined {
  const found = new RegExp(`<([^>]+)>; rel="${rel}"`).exec(headers.get('link') ?? '');
  return found?.[1] === undefined ? undefined : new URL(found[1]);
}

/** Of what a listing answered. */
export const idsIn = ({ body }: ApiAnswer): number[] => (body as { id: number }[]).map(({ id }) => id);
