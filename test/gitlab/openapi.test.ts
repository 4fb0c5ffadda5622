import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flagsOf, HOOK_EVENTS } from '../../src/domain/hook-events.ts';
import type { GitlabClient } from '../../src/gitlab/client.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { type Leniency, requestCheck } from '../support/openapi-check.ts';
import { readDescription } from '../support/openapi-description.ts';
import { type OpenapiMock, startOpenapiMock } from '../support/openapi-mock.ts';
import { hookBody } from './hook-body.ts';
import { clientOf } from './scripted-gitlab.ts';

/**
 * The description of what we use, written by hand after GitLab's documentation. With
 * `GITLAB_OPENAPI=<GitLab's openapi_v3.yaml>` the requests must conform to GitLab's own too.
 */
const ours = readDescription(new URL('../support/gitlab-openapi.json', import.meta.url));
const theirFile = process.env['GITLAB_OPENAPI'];

/** GitLab's file leaves out what its pages on keyset paging say, and that lists of reviewers have pages. */
const leniency: Leniency = { queryParameters: ['pagination', 'page', 'per_page'] };
const sha = '18f3e63d05582537db6d183d9d557be09e1f90c8';

const owners: GitlabOwner[] = [
  { kind: 'project', gitlabId: 5 },
  { kind: 'group', gitlabId: 6 },
];
/** Every call of the client, in each of its forms. */
const calls: [string, (client: GitlabClient) => Promise<unknown>][] = [
  ['currentUser', (client) => client.currentUser()],
  ['project by id', (client) => client.project(5)],
  ['project by path', (client) => client.project('group/sub group/name')],
  ['projectDetails', (client) => client.projectDetails(5)],
  ['openMergeRequests', (client) => client.openMergeRequests(5)],
  ['mergeRequest', (client) => client.mergeRequest({ gitlabProjectId: 5, iid: 1 })],
  ['reviews', (client) => client.reviews({ gitlabProjectId: 5, iid: 1 })],
  ['commitStatuses', (client) => client.commitStatuses({ gitlabProjectId: 5, sha })],
  [
    'postCommitStatus',
    (client) =>
      client.postCommitStatus(
        { gitlabProjectId: 5, sha },
        { name: 'forgeflow', state: 'error', description: 'it is so' },
      ),
  ],
  ['projectMembers', (client) => client.projectMembers(5)],
  ['projectMember', (client) => client.projectMember({ gitlabProjectId: 5, gitlabUserId: 3 })],
  ['user', (client) => client.user(3)],
  ['group by id', (client) => client.group(6)],
  ['group by path', (client) => client.group('group/subgroup')],
  ['groupProjects', (client) => client.groupProjects(6, 2)],
  ['ownProjects', (client) => client.ownProjects(null)],
  ['ownProjects further on', (client) => client.ownProjects(99)],
  ...owners.flatMap((owner): typeof calls => {
    const hook = hookBody({ flags: flagsOf(HOOK_EVENTS, owner.kind) });
    return [
      [`accessOf a ${owner.kind}`, (client) => client.accessOf(owner, 3)],
      [`listHooks of a ${owner.kind}`, (client) => client.listHooks(owner)],
      [`createHook of a ${owner.kind}`, (client) => client.createHook(owner, hook)],
      [`updateHook of a ${owner.kind}`, (client) => client.updateHook(owner, 7, hook)],
      [`deleteHook of a ${owner.kind}`, (client) => client.deleteHook(owner, 7)],
      [`testHook of a ${owner.kind}`, (client) => client.testHook(owner, 7)],
    ];
  }),
];

let mock: OpenapiMock;
let client: GitlabClient;

beforeAll(async () => {
  const theirs = theirFile === undefined ? [] : [requestCheck(readDescription(theirFile), leniency)];
  mock = await startOpenapiMock(ours, [requestCheck(ours), ...theirs]);
  client = clientOf(mock, { timeoutMs: 5_000 });
});
afterAll(async () => {
  await client.close();
  await mock.close();
});

describe("against a server made of the API's description", () => {
  test.each(calls)('%s asks as described, and takes every answer that is', async (_name, call) => {
    for (let seed = 1; seed <= 40; seed++) {
      mock.reseed(seed);
      const failure: unknown = await call(client).catch((error: unknown) => error);
      expect(mock.problems).toEqual([]);
      if (failure instanceof Error) throw failure;
    }
  });

  test('every operation that is described is used', () => {
    const asked = new Set(mock.requests.map((request) => request.replace(/\?.*/, '')));
    const described = Object.entries(ours.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ method, path })),
    );
    const unused = described.filter(({ method, path }) => {
      const pattern = new RegExp(`^${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '[^/]+')}$`);
      return ![...asked].some((request) => pattern.test(request));
    });
    expect(unused).toEqual([]);
  });
});

describe('the check itself', () => {
  const check = requestCheck(ours);
  const json = 'application/json';
  const hook = JSON.stringify({ url: 'https://a.example.com', push_events: true });

  test.each<[string, string, string | undefined, string, string]>([
    ['GET /api/v4/users', 'an unknown path', undefined, '', 'is not described'],
    ['PATCH /api/v4/user', 'an unknown method', undefined, '', 'is not described'],
    ['GET /api/v4/projects?menbership=true', 'an unknown parameter', undefined, '', 'menbership is not described'],
    ['GET /api/v4/projects?per_page=many', 'a text for a number', undefined, '', 'per_page must be integer'],
    ['GET /api/v4/projects?min_access_level=41', 'no such value', undefined, '', 'min_access_level must be equal'],
    ['GET /api/v4/projects/5/hooks?per_page=101', 'a number that is too large', undefined, '', 'must be <= 100'],
    ['GET /api/v4/projects/5/merge_requests?state=open', 'no such state', undefined, '', 'state must be equal'],
    ['GET /api/v4/projects/5/merge_requests/!1', 'no number', undefined, '', 'merge_request_iid must be integer'],
    ['DELETE /api/v4/projects/5/hooks/x', 'a text for an id', undefined, '', 'hook_id must be integer'],
    ['DELETE /api/v4/projects/5/hooks/7', 'a body', json, '{}', 'a body is not described'],
    ['POST /api/v4/projects/5/hooks', 'no body', json, '', 'the body is missing'],
    ['POST /api/v4/projects/5/hooks', 'a body of no type', undefined, hook, 'type is not given'],
    ['POST /api/v4/projects/5/hooks', 'no url', json, '{"push_events":true}', "must have required property 'url'"],
    [
      'POST /api/v4/projects/5/hooks',
      'a text for a flag',
      json,
      '{"url":"u","push_events":"yes"}',
      '/push_events must be',
    ],
    ['POST /api/v4/projects/5/hooks', 'an unknown flag', json, '{"url":"u","push":true}', 'push in the body'],
    ['POST /api/v4/projects/5/hooks', "a group's flag", json, '{"url":"u","member_events":true}', 'member_events in'],
  ])('%s with %s does not conform', (request, _what, contentType, body, problem) => {
    const [method = '', path = ''] = request.split(' ');
    expect(check({ method, path, contentType, body }).join('; ')).toContain(problem);
  });
});
