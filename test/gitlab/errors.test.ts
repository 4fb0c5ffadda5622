import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  GitlabBadAnswer,
  GitlabError,
  GitlabForbidden,
  GitlabHookLimitReached,
  GitlabInvalidCredentials,
  GitlabNotFound,
  GitlabRejected,
  GitlabUnavailable,
} from '../../src/gitlab/errors.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { HOOK_TOKEN, hookBody } from './hook-body.ts';
import { clientOf, type Script, type ScriptedGitlab, startScriptedGitlab, TOKEN } from './scripted-gitlab.ts';

const owner: GitlabOwner = { kind: 'project', gitlabId: 5 };
let gitlab: ScriptedGitlab;

beforeEach(async () => {
  gitlab = await startScriptedGitlab();
});
afterEach(async () => {
  await gitlab.close();
});

/** Creates a hook, which must fail, and checks what holds of every failure: one request, and no secret in the error. */
async function failureOf(answer: Script): Promise<GitlabError> {
  gitlab.script(answer);
  const error: unknown = await clientOf(gitlab)
    .createHook(owner, hookBody())
    .then(() => undefined)
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(GitlabError);
  expect(gitlab.requests).toHaveLength(1);
  expectNoSecretIn(error as GitlabError);
  return error as GitlabError;
}

function expectNoSecretIn(error: GitlabError): void {
  const shown = [
    JSON.stringify(error),
    JSON.stringify(error, Object.getOwnPropertyNames(error)),
    inspect(error, { depth: Infinity, showHidden: true }),
    String(error.stack),
  ].join('\n');
  expect(shown).not.toContain(TOKEN);
  expect(shown).not.toContain(HOOK_TOKEN);
  expect(error.cause).toBeUndefined();
}

type ErrorClass = abstract new (...args: never[]) => GitlabError;

describe('G7: what GitLab answers becomes an error of its kind', () => {
  test.each<[string, number, unknown, ErrorClass, string]>([
    ['unknown token', 401, { message: '401 Unauthorized' }, GitlabInvalidCredentials, '401 Unauthorized'],
    [
      'expired token',
      401,
      { error: 'invalid_token', error_description: 'Token is expired. You can either do re-authorization.' },
      GitlabInvalidCredentials,
      'Token is expired',
    ],
    [
      'revoked token',
      401,
      { error: 'invalid_token', error_description: 'Token was revoked. You have to re-authorize from the user.' },
      GitlabInvalidCredentials,
      'Token was revoked',
    ],
    [
      'token without the scope',
      403,
      { error: 'insufficient_scope', error_description: 'The request requires higher privileges', scope: 'api' },
      GitlabInvalidCredentials,
      "lacks the scope 'api'",
    ],
    [
      'blocked account',
      403,
      { message: '403 Forbidden - Your account has been blocked.' },
      GitlabInvalidCredentials,
      'Your account has been blocked',
    ],
    ['no right', 403, { message: '403 Forbidden' }, GitlabForbidden, '403 Forbidden'],
    ['no project', 404, { message: '404 Project Not Found' }, GitlabNotFound, '404 Project Not Found'],
    ['no route', 404, { error: '404 Not Found' }, GitlabNotFound, '404 Not Found'],
    [
      'hook limit',
      422,
      { message: { base: ['Maximum number of project hooks (100) exceeded'] } },
      GitlabHookLimitReached,
      'base: Maximum number of project hooks (100) exceeded',
    ],
    [
      'hook limit of a group',
      422,
      { message: { base: ['Maximum number of group hooks (50) exceeded'] } },
      GitlabHookLimitReached,
      'group hooks (50)',
    ],
    [
      'hook limit before GitLab 15',
      404,
      { message: '404 Project hook {:base=>["Maximum number of project hooks (100) exceeded"]} Not Found' },
      GitlabHookLimitReached,
      'project hooks (100)',
    ],
    ['bad URL', 422, { message: 'Invalid url given' }, GitlabRejected, '422: Invalid url given'],
    ['missing attribute', 400, { error: 'url is missing' }, GitlabRejected, '400: url is missing'],
    [
      'several complaints',
      400,
      { message: { url: ['is blocked', 'is bad'] } },
      GitlabRejected,
      'url: is blocked, is bad',
    ],
    ['method not allowed', 405, { message: '405 Method Not Allowed' }, GitlabRejected, '405'],
    ['conflict', 409, { message: '409 Conflict' }, GitlabRejected, '409'],
    ['server error', 500, { message: '500 Internal Server Error' }, GitlabUnavailable, '500'],
    ['maintenance', 503, { message: '503 Service Unavailable' }, GitlabUnavailable, '503'],
    ['request timeout', 408, '', GitlabUnavailable, '408'],
  ])('%s (%i)', async (_name, status, body, kind, words) => {
    const error = await failureOf({ status, body });
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(words);
    expect(error.message).not.toMatch(/\n/);
  });

  test.each([
    [502, GitlabUnavailable],
    [504, GitlabUnavailable],
    [401, GitlabInvalidCredentials],
    [403, GitlabBadAnswer],
    [404, GitlabBadAnswer],
    [422, GitlabBadAnswer],
  ])('a web page with %i, from a proxy', async (status, kind) => {
    const body = '<html><head><title>nginx</title></head></html>';
    const error = await failureOf({ status, headers: { 'content-type': 'text/html' }, body });
    expect(error).toBeInstanceOf(kind);
    expect(error.message).not.toContain('<');
  });

  test('G6: a POST behind a 502 is made once, though gitbeaker would repeat it', async () => {
    gitlab.script({ status: 502, body: '' }, { status: 201, body: {} });
    await expect(clientOf(gitlab).createHook(owner, hookBody())).rejects.toBeInstanceOf(GitlabUnavailable);
    expect(gitlab.requests.map(({ method }) => method)).toEqual(['POST']);
  });
});

describe('what is said of an answer', () => {
  test('secrets that GitLab repeats are blotted out', async () => {
    const error = await failureOf({ status: 422, body: { message: `token ${HOOK_TOKEN} of ${TOKEN} is bad` } });
    expect(error.message).toContain('token [secret] of [secret] is bad');
  });

  test('a long text is cut, line breaks and control characters are gone', async () => {
    const error = await failureOf({ status: 400, body: { message: `a\r\nb\u001b[31mred\u0000 ${'x'.repeat(5_000)}` } });
    expect(error.message).toContain('a b [31mred x');
    expect(error.message.length).toBeLessThan(260);
  });

  test.each(['null', '"text"', '[]', '{"message":null}', '{"message":{"a":{"b":[1,null]}}}', '{', ''])(
    'a body of %s is no reason to stumble',
    async (body) => {
      expect(await failureOf({ status: 400, body })).toBeInstanceOf(GitlabRejected);
    },
  );
});

describe('redirects are not followed', () => {
  test.each([
    ['http://elsewhere.example.com/api/v4/projects/5/hooks', 'to http://elsewhere.example.com/api/v4/projects/5/hooks'],
    ['/users/sign_in?next=secret', '/users/sign_in; is GITLAB_URL right?'],
    ['', 'without saying where to go'],
    ['http://%', 'without saying where to go'],
  ])('to %s', async (location, words) => {
    const error = await failureOf({ status: 302, headers: { location } });
    expect(error).toBeInstanceOf(GitlabBadAnswer);
    expect(error.message).toContain(words);
    expect(error.message).not.toContain('next=');
  });

  test('a project that has moved is not found, and the error says where it is', async () => {
    const error = await failureOf({ status: 301, headers: { location: `${gitlab.url}/api/v4/projects/81/hooks` } });
    expect(error).toMatchObject({ name: 'GitlabNotFound', movedTo: '81' });
  });

  test('to https, GITLAB_URL lacks an s: no project has moved', async () => {
    const location = 'https://127.0.0.1/api/v4/projects/5/hooks';
    expect(await failureOf({ status: 301, headers: { location } })).toBeInstanceOf(GitlabBadAnswer);
  });
});
