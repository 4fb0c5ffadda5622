import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { flagsOf } from '../../src/domain/hook-events.ts';
import { GitlabNotFound } from '../../src/gitlab/errors.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { VERSION } from '../../src/version.ts';
import { HOOK_TOKEN, hookBody, shownHook } from './hook-body.ts';
import { clientOf, type ScriptedGitlab, startScriptedGitlab, TOKEN } from './scripted-gitlab.ts';

const project: GitlabOwner = { kind: 'project', gitlabId: 5 };
const group: GitlabOwner = { kind: 'group', gitlabId: 6 };
const place = { id: 5, path_with_namespace: 'a/b' };
let gitlab: ScriptedGitlab;

beforeEach(async () => {
  gitlab = await startScriptedGitlab();
});
afterEach(async () => {
  await gitlab.close();
});

const paths = (): string[] => gitlab.requests.map(({ method, path }) => `${method} ${path.replace('/api/v4', '')}`);
const lastBody = (): unknown => JSON.parse(gitlab.requests.at(-1)!.body);

describe('the requests', () => {
  test('carry the token, say who asks, and what they take', async () => {
    gitlab.script({ body: { id: 1, username: 'bot' } });
    expect(await clientOf(gitlab).currentUser()).toEqual({ id: 1, username: 'bot' });
    expect(paths()).toEqual(['GET /user']);
    expect(gitlab.requests[0]!.headers).toMatchObject({
      'private-token': TOKEN,
      'user-agent': `forgeflow/${VERSION}`,
      accept: 'application/json',
    });
  });

  test('G8: a new hook is sent with all it is to have', async () => {
    gitlab.script({ status: 201, body: shownHook });
    expect(await clientOf(gitlab).createHook(project, hookBody())).toEqual({
      id: 7,
      url: 'https://forge.example.com/gitlab/events',
      flags: { push_events: true, tag_push_events: false, repository_update_events: false },
      sslVerification: true,
      branchFilter: '',
      alertStatus: 'executable',
      disabledUntil: null,
      name: 'forgeflow',
      description: shownHook.description,
    });
    expect(paths()).toEqual(['POST /projects/5/hooks']);
    expect(lastBody()).toEqual({
      url: 'https://forge.example.com/gitlab/events',
      token: HOOK_TOKEN,
      ...flagsOf(['push', 'merge_requests'], 'project'),
      enable_ssl_verification: true,
      push_events_branch_filter: '',
      name: 'forgeflow',
      description: shownHook.description,
      custom_headers: [{ key: 'X-Forgeflow-Hook', value: '0198c1f2-7b1c-7000-8000-000000000002' }],
    });
  });

  test('G5, G6: a changed hook is sent as a whole, with its token', async () => {
    gitlab.script({ body: shownHook });
    const body = hookBody();
    const client = clientOf(gitlab);
    await client.createHook(group, body);
    const created = lastBody();
    await client.updateHook(group, 7, body);
    expect(lastBody()).toEqual(created);
    expect(paths()).toEqual(['POST /groups/6/hooks', 'PUT /groups/6/hooks/7']);
  });

  test('of a hook that goes have no body; one that is gone is fine', async () => {
    gitlab.script({ status: 204, body: '' }, { status: 404, body: { message: '404 Not found' } });
    const client = clientOf(gitlab);
    await client.deleteHook(project, 7);
    await client.deleteHook(project, 7);
    expect(paths()).toEqual(['DELETE /projects/5/hooks/7', 'DELETE /projects/5/hooks/7']);
    expect(gitlab.requests[0]).toMatchObject({ body: '' });
    expect(gitlab.requests[0]!.headers).not.toHaveProperty('content-type');
  });

  test('G5: of a test send go to the push event', async () => {
    gitlab.script({ status: 201, body: { message: '201 Created' } });
    await clientOf(gitlab).testHook(group, 7);
    expect(paths()).toEqual(['POST /groups/6/hooks/7/test/push_events']);
  });

  test('go to a GitLab that does not live at the root of its host', async () => {
    gitlab.script({ body: place });
    await clientOf({ url: `${gitlab.url}/git/lab//` }).project(5);
    expect(gitlab.requests[0]!.path).toBe('/git/lab/api/v4/projects/5');
  });

  test('wait for each other beyond the set concurrency, without their time running', async () => {
    let underWay = 0;
    let most = 0;
    gitlab.script((response) => {
      most = Math.max(most, ++underWay);
      setTimeout(() => {
        underWay--;
        response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
      }, 60);
    });
    const client = clientOf(gitlab, { concurrency: 2, timeoutMs: 250 });
    await Promise.all(Array.from({ length: 12 }, () => client.listHooks(project)));
    expect(most).toBe(2);
  });

  test('on a closed client fail', async () => {
    const client = clientOf(gitlab);
    await client.close();
    await expect(client.listHooks(project)).rejects.toThrow('GitLab could not be reached');
  });
});

describe('a project or group by its path', () => {
  test('is one segment of the address', async () => {
    gitlab.script({ body: place }, { body: { id: 6, full_path: 'a/ü b' } });
    const client = clientOf(gitlab);
    expect(await client.project('/a/b/')).toEqual({ gitlabId: 5, path: 'a/b' });
    expect(await client.group('a/ü b')).toEqual({ gitlabId: 6, path: 'a/ü b' });
    expect(paths()).toEqual(['GET /projects/a%2Fb', 'GET /groups/a%2F%C3%BC%20b?with_projects=false']);
  });

  test.each(['', '/', '.', '..', '/../'])('`%s` is none, and nothing is asked', async (path) => {
    await expect(clientOf(gitlab).project(path)).rejects.toBeInstanceOf(GitlabNotFound);
    expect(gitlab.requests).toHaveLength(0);
  });

  test('that has moved is asked for once more, at the configured GitLab', async () => {
    const location = 'https://elsewhere.example.com/api/v4/projects/5';
    gitlab.script({ status: 301, headers: { location }, body: {} }, { body: place });
    expect(await clientOf(gitlab).project('old/b')).toEqual({ gitlabId: 5, path: 'a/b' });
    expect(paths()).toEqual(['GET /projects/old%2Fb', 'GET /projects/5']);
  });

  test('that moves for ever is not found', async () => {
    gitlab.script(
      { status: 301, headers: { location: '/api/v4/projects/1' } },
      { status: 301, headers: { location: '/api/v4/projects/2' } },
    );
    await expect(clientOf(gitlab).project('a/b')).rejects.toMatchObject({ name: 'GitlabNotFound', movedTo: '2' });
    expect(gitlab.requests).toHaveLength(2);
  });
});
