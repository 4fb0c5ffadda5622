import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GitlabRateLimited } from '../../src/gitlab/errors.ts';
import { type RateLimit, rateLimitOf, retryTime } from '../../src/gitlab/rate-limit.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { clientOf, type ScriptedGitlab, startScriptedGitlab } from './scripted-gitlab.ts';

const owner: GitlabOwner = { kind: 'project', gitlabId: 5 };
const NOW = Date.parse('2026-11-25T10:00:00Z');
const inSeconds = (seconds: number): Date => new Date(NOW + seconds * 1000);
const epoch = (seconds: number): string => String(inSeconds(seconds).getTime() / 1000);
const http = (seconds: number): string => inSeconds(seconds).toUTCString();

describe('the rate limit in the headers', () => {
  test.each<[string, Record<string, string>, RateLimit | null]>([
    ['none', {}, null],
    ['no limit', { 'ratelimit-remaining': '3' }, null],
    ['no number', { 'ratelimit-limit': 'many', 'ratelimit-remaining': '-1' }, null],
    [
      'all',
      { 'ratelimit-limit': '2000', 'ratelimit-remaining': '0', 'ratelimit-reset': epoch(30) },
      { limit: 2000, remaining: 0, resetAt: inSeconds(30) },
    ],
    [
      'a date alone',
      { 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-resettime': http(40) },
      { limit: 2, remaining: 1, resetAt: inSeconds(40) },
    ],
    [
      'no end: the window is a minute',
      { 'ratelimit-limit': '2', 'ratelimit-remaining': '1' },
      { limit: 2, remaining: 1, resetAt: inSeconds(60) },
    ],
    [
      "GitLab's clock is an hour ahead",
      { 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-reset': epoch(3630), date: http(3600) },
      { limit: 2, remaining: 1, resetAt: inSeconds(30) },
    ],
    [
      "GitLab's clock is a second behind, as it looks when an answer takes one",
      { 'ratelimit-limit': '2', 'ratelimit-remaining': '1', 'ratelimit-reset': epoch(30), date: http(-1) },
      { limit: 2, remaining: 1, resetAt: inSeconds(30) },
    ],
  ])('%s', (_name, headers, limit) => {
    expect(rateLimitOf(headers, NOW)).toEqual(limit);
  });
});

describe('G4: when GitLab takes requests again', () => {
  test.each<[string, Record<string, string>, Date | null]>([
    ['not said', {}, null],
    ['seconds', { 'retry-after': '17' }, inSeconds(17)],
    ['at once', { 'retry-after': '0' }, inSeconds(0)],
    ['a date', { 'retry-after': http(17) }, inSeconds(17)],
    ['a date by a clock that is ahead', { 'retry-after': http(617), date: http(600) }, inSeconds(17)],
    ['nonsense', { 'retry-after': 'soon' }, null],
    ['a number without bounds', { 'retry-after': '9'.repeat(30) }, null],
    ['nonsense, and the window', { 'retry-after': 'soon', 'ratelimit-reset': epoch(30) }, inSeconds(30)],
    ['both: the one meant for this', { 'retry-after': '17', 'ratelimit-reset': epoch(30) }, inSeconds(17)],
    ['the window alone', { 'ratelimit-reset': epoch(30) }, inSeconds(30)],
  ])('%s', (_name, headers, time) => {
    expect(retryTime(headers, NOW)).toEqual(time);
  });
});

describe('a refused request', () => {
  let gitlab: ScriptedGitlab;
  beforeEach(async () => {
    gitlab = await startScriptedGitlab();
  });
  afterEach(async () => {
    await gitlab.close();
  });

  const wholeApi = { status: 429, headers: { 'content-type': 'text/plain' }, body: 'Retry later\n' };
  const thisCall = {
    status: 429,
    body: { message: { error: 'This endpoint has been requested too many times. Try again later.' } },
  };

  test('G4: is not repeated, though gitbeaker would; it says when to go on', async () => {
    gitlab.script({ ...wholeApi, headers: { ...wholeApi.headers, 'retry-after': '40' } });
    const error: unknown = await clientOf(gitlab)
      .listHooks(owner)
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(GitlabRateLimited);
    expect(error).toMatchObject({ scope: 'api' });
    const { retryAt } = error as GitlabRateLimited;
    expect(Math.abs(retryAt!.getTime() - Date.now() - 40_000)).toBeLessThan(5_000);
    expect(gitlab.requests).toHaveLength(1);
  });

  test.each([
    ['a test send beyond its own limit concerns that alone', thisCall, 'testHook', 'call'],
    ['a test send beyond the limit of the API', wholeApi, 'testHook', 'api'],
    ['another call beyond a limit of its own: the run had better pause', thisCall, 'deleteHook', 'api'],
    ['a 429 without words', { status: 429, body: '' }, 'testHook', 'api'],
  ] as const)('%s', async (_name, answer, method, scope) => {
    gitlab.script(answer);
    await expect(clientOf(gitlab)[method](owner, 7)).rejects.toMatchObject({
      name: 'GitlabRateLimited',
      scope,
      retryAt: null,
    });
  });

  test('the limit is told with each answer that states it, and kept until one goes through that does not', async () => {
    const observed: number[] = [];
    const client = clientOf(gitlab, { observe: ({ remaining }) => observed.push(remaining) });
    const stated = (remaining: number): Record<string, string> => ({
      'RateLimit-Limit': '10',
      'RateLimit-Remaining': String(remaining),
      'RateLimit-Reset': String(Math.floor(Date.now() / 1000) + 60),
    });
    expect(client.rateLimit()).toBeNull();
    gitlab.script(
      { headers: stated(9), body: [] },
      { status: 500, body: {} },
      { body: [] },
      { status: 404, headers: stated(8), body: { message: '404 Project Not Found' } },
      { ...wholeApi, headers: { ...wholeApi.headers, ...stated(0) } },
    );
    await client.listHooks(owner);
    await expect(client.listHooks(owner)).rejects.toThrow('500');
    expect(client.rateLimit()).toMatchObject({ limit: 10, remaining: 9 });
    await client.listHooks(owner);
    expect(client.rateLimit()).toBeNull();
    await expect(client.listHooks(owner)).rejects.toThrow('404');
    await expect(client.listHooks(owner)).rejects.toThrow('429');
    expect(observed).toEqual([9, 8, 0]);
    expect(client.rateLimit()).toMatchObject({ remaining: 0 });
  });
});
