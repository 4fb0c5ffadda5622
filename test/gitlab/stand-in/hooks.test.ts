import { describe, expect, test } from 'vitest';
import { OWNER, type Gitlab } from '../../support/gitlab/index.ts';
import { ask, gitlabForTest, linkTo } from './api.ts';

const URL = 'http://127.0.0.1:9/gitlab/events';

async function gitlabWithProject(settings = {}) {
  const gitlab = await gitlabForTest({ settings });
  const project = gitlab.addProject({ path: 'kiln' });
  const path = `/projects/${project.id}/hooks`;
  return { gitlab, project, path };
}

const added = async (gitlab: Gitlab, path: string, fields: object = {}) =>
  (await ask(gitlab, `POST ${path}`, { url: URL, ...fields })).body as { id: number };

describe('a hook', () => {
  test('is made with what was asked for, and pushes on by default; its token is never shown', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const answer = await ask(gitlab, `POST ${path}`, {
      url: URL,
      token: 'a secret',
      name: 'forgeflow',
      description: 'Installed by forgeflow',
      merge_requests_events: true,
      tag_push_events: 'true',
      custom_headers: [{ key: 'X-Forgeflow-Hook', value: 'another secret' }],
    });
    expect(answer).toMatchObject({
      status: 201,
      body: {
        url: URL,
        project_id: project.id,
        name: 'forgeflow',
        description: 'Installed by forgeflow',
        push_events: true,
        merge_requests_events: true,
        tag_push_events: true,
        issues_events: false,
        enable_ssl_verification: true,
        push_events_branch_filter: null,
        alert_status: 'executable',
        disabled_until: null,
        custom_headers: [{ key: 'X-Forgeflow-Hook' }],
      },
    });
    const { id } = answer.body as { id: number };
    const one = await ask(gitlab, `GET ${path}/${id}`);
    expect(one.body).toEqual(answer.body);
    const list = await ask(gitlab, `GET ${path}`);
    expect(list.body).toMatchObject([{ id, name: 'forgeflow' }]);
    // Lists of projects leave them out.
    expect((list.body as object[])[0]).not.toHaveProperty('custom_headers');
    expect(JSON.stringify([answer.body, one.body, list.body])).not.toContain('secret"');
    expect(gitlab.hooksOf(project)).toMatchObject([
      { id, token: 'a secret', custom_headers: { 'X-Forgeflow-Hook': 'another secret' } },
    ]);
  });

  test('has an id that no other hook has, here or elsewhere, and two may have one URL', async () => {
    const { gitlab, path } = await gitlabWithProject();
    const other = `/projects/${gitlab.addProject({ path: 'oven' }).id}/hooks`;
    const ids = [await added(gitlab, path), await added(gitlab, path), await added(gitlab, other)].map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(await ask(gitlab, `GET ${other}/${ids[0]}`)).toMatchObject({
      status: 404,
      body: { message: '404 Not found' },
    });
  });

  test('is changed in what is sent and nothing else', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const { id } = await added(gitlab, path, { token: 'secret', issues_events: true });
    const answer = await ask(gitlab, `PUT ${path}/${id}`, { push_events: false, name: 'mine' });
    expect(answer).toMatchObject({ status: 200, body: { id, push_events: false, issues_events: true, name: 'mine' } });
    expect(gitlab.hooksOf(project)).toMatchObject([{ token: 'secret', url: URL }]);
    expect(await ask(gitlab, `PUT ${path}/${id}`, {})).toMatchObject({
      status: 400,
      body: { error: 'No parameters provided' },
    });
  });

  test('loses its token with its URL, unless the new one comes along; its headers it loses in any case', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const headers = { custom_headers: [{ key: 'X-Hook', value: '1' }] };
    const { id } = await added(gitlab, path, { token: 'secret', ...headers });
    await ask(gitlab, `PUT ${path}/${id}`, { url: `${URL}/2`, token: 'new', ...headers });
    expect(gitlab.hooksOf(project)).toMatchObject([{ token: 'new', custom_headers: {} }]);
    await ask(gitlab, `PUT ${path}/${id}`, { url: `${URL}/2`, ...headers });
    expect(gitlab.hooksOf(project)).toMatchObject([{ token: 'new', custom_headers: { 'X-Hook': '1' } }]);
    await ask(gitlab, `PUT ${path}/${id}`, { url: `${URL}/3` });
    expect(gitlab.hooksOf(project)).toMatchObject([{ token: null, custom_headers: {} }]);
  });

  test('is removed with 204, and then 404', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const { id } = await added(gitlab, path);
    expect(await ask(gitlab, `DELETE ${path}/${id}`, {})).toMatchObject({ status: 204, body: '' });
    expect(await ask(gitlab, `DELETE ${path}/${id}`)).toMatchObject({ status: 404 });
    expect(gitlab.hooksOf(project)).toEqual([]);
  });

  test('gets and loses single headers', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const { id } = await added(gitlab, path);
    const header = `${path}/${id}/custom_headers/X-Hook`;
    expect(await ask(gitlab, `PUT ${header}`, { value: 'v' })).toMatchObject({ status: 204 });
    expect(gitlab.hooksOf(project)).toMatchObject([{ custom_headers: { 'X-Hook': 'v' } }]);
    expect(await ask(gitlab, `DELETE ${header}`)).toMatchObject({ status: 204 });
    expect(await ask(gitlab, `DELETE ${header}`)).toMatchObject({ status: 404 });
  });
});

test('lists of hooks have pages too', async () => {
  const { gitlab, project, path } = await gitlabWithProject();
  for (let n = 0; n < 25; n++) gitlab.addHook(project, { url: `${URL}/${n}` });
  const first = await ask(gitlab, `GET ${path}`);
  expect(first.body).toHaveLength(20);
  expect(linkTo('next', first.headers)?.searchParams.get('page')).toBe('2');
  expect((await ask(gitlab, `GET ${path}?page=2`)).body).toHaveLength(5);
});

describe('what is refused', () => {
  test.each([
    ['no URL', { token: 'x' }, 400, { error: 'url is missing' }],
    ['a blank URL', { url: '' }, 422, { error: 'Invalid url given' }],
    ['a URL that is none', { url: 'ingress/gitlab/events' }, 422, { error: 'Invalid url given' }],
    ['a URL of another protocol', { url: 'ftp://127.0.0.1/x' }, 422, { error: 'Invalid url given' }],
    ['a flag that is none', { url: URL, push_events: 'maybe' }, 400, { error: 'push_events is invalid' }],
    ['a name that is a list', { url: URL, name: ['a'], url_: 1 }, 400, { error: 'name is invalid' }],
    ['more than one thing', { push_events: 7 }, 400, { error: 'url is missing, push_events is invalid' }],
    [
      'a strategy',
      { url: URL, branch_filter_strategy: 'none' },
      400,
      { error: 'branch_filter_strategy does not have a valid value' },
    ],
    ['headers that are no list', { url: URL, custom_headers: { a: 'b' } }, 400, { error: 'custom_headers is invalid' }],
    [
      'a header that may not be one',
      { url: URL, custom_headers: [{ key: 'X Hook', value: 'b' }] },
      422,
      { error: 'Custom headers must be a valid json schema' },
    ],
    ['a token of two lines', { url: URL, token: 'a\nb' }, 422, { error: 'Token is invalid' }],
    ['JSON that is none', '{"url":', 400, { error: 'message body does not match declared format' }],
    ['JSON that is a list', '[]', 400, { error: 'message body does not match declared format' }],
  ])('%s', async (_, body, status, told) => {
    const { gitlab, project, path } = await gitlabWithProject();
    expect(await ask(gitlab, `POST ${path}`, body)).toMatchObject({ status, body: told });
    expect(gitlab.hooksOf(project)).toEqual([]);
  });

  test('a hook above the limit of its project', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    for (let n = 0; n < 100; n++) gitlab.addHook(project, { url: URL });
    expect(await ask(gitlab, `POST ${path}`, { url: URL })).toMatchObject({
      status: 422,
      body: { error: 'Maximum number of project hooks (100) exceeded' },
    });
  });

  test('URLs of the local network, where the administrator has not allowed them', async () => {
    const { gitlab, path } = await gitlabWithProject({ allowLocalNetwork: false });
    for (const url of [URL, 'http://localhost/x', 'https://10.1.2.3/x', 'http://[::1]/x'])
      expect(await ask(gitlab, `POST ${path}`, { url })).toMatchObject({
        status: 422,
        body: { error: 'Invalid url given' },
      });
    expect(await ask(gitlab, `POST ${path}`, { url: 'https://example.com/x' })).toMatchObject({ status: 201 });
  });

  test('a hook id that is none', async () => {
    const { gitlab, path } = await gitlabWithProject();
    expect(await ask(gitlab, `GET ${path}/mine`)).toMatchObject({ status: 400, body: { error: 'hook_id is invalid' } });
  });
});

test('a form is taken as well as JSON', async () => {
  const { gitlab, project, path } = await gitlabWithProject();
  const form = new URLSearchParams([
    ['url', URL],
    ['push_events', '0'],
    ['custom_headers[][key]', 'X-A'],
    ['custom_headers[][value]', 'a'],
    ['custom_headers[][key]', 'X-B'],
    ['custom_headers[][value]', 'b'],
  ]);
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  expect(await ask(gitlab, `POST ${path}`, form.toString(), { headers })).toMatchObject({ status: 201 });
  expect(gitlab.hooksOf(project)).toMatchObject([{ push_events: false, custom_headers: { 'X-A': 'a', 'X-B': 'b' } }]);
  const text = await ask(gitlab, `POST ${path}`, 'url', { headers: { 'Content-Type': 'text/plain' } });
  expect(text).toMatchObject({ status: 415 });
});

describe('versions and editions', () => {
  test('before 17.1 a hook has no name, description or headers; that they were sent is noted', async () => {
    const { gitlab, project, path } = await gitlabWithProject({ version: '17.0.5' });
    const fields = { name: 'n', description: 'd', custom_headers: [{ key: 'X-A', value: 'a' }], token: 't' };
    const answer = await ask(gitlab, `POST ${path}`, { url: URL, ...fields });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.body as object)).not.toContain('name');
    expect(gitlab.hooksOf(project)).toMatchObject([{ name: null, description: null, custom_headers: {}, token: 't' }]);
    expect(gitlab.unknownParameters.map(({ name }) => name)).toEqual(['name', 'description', 'custom_headers']);
  });

  test('what no version knows is passed over, and noted', async () => {
    const { gitlab, path } = await gitlabWithProject();
    await added(gitlab, path, { pushEvents: true, member_events: true, name: 'known' });
    expect(gitlab.unknownParameters).toEqual([
      { method: 'POST', path, name: 'pushEvents', version: '18.5.1' },
      { method: 'POST', path, name: 'member_events', version: '18.5.1' },
    ]);
  });

  test('the free edition knows no group hooks', async () => {
    const gitlab = await gitlabForTest({ botAccess: OWNER });
    for (const request of ['GET /groups/acme/hooks', 'POST /groups/acme/hooks'])
      expect(await ask(gitlab, request)).toMatchObject({ status: 404, body: { error: '404 Not Found' } });
  });

  test('group hooks have flags of their own, and a limit of their own', async () => {
    const gitlab = await gitlabForTest({ botAccess: OWNER, settings: { premium: true } });
    const answer = await ask(gitlab, 'POST /groups/acme/hooks', { url: URL, member_events: true });
    expect(answer).toMatchObject({ status: 201, body: { group_id: gitlab.root.id, member_events: true } });
    for (let n = 1; n < 50; n++) gitlab.addHook(gitlab.root, { url: URL });
    expect(await ask(gitlab, 'POST /groups/acme/hooks', { url: URL })).toMatchObject({
      status: 422,
      body: { error: 'Maximum number of group hooks (50) exceeded' },
    });
  });
});

test('a person edits hooks by the same rules', async () => {
  const { gitlab, project, path } = await gitlabWithProject();
  const hook = gitlab.addHook(project, { url: URL, token: 'secret', push_events: false });
  gitlab.editHook(hook, { issues_events: true });
  expect(gitlab.hooksOf(project)).toMatchObject([{ token: 'secret', issues_events: true }]);
  gitlab.editHook(gitlab.hooksOf(project)[0]!, { url: `${URL}/else` });
  expect(gitlab.hooksOf(project)).toMatchObject([{ token: null }]);
  expect(() => gitlab.addHook(project, { url: 'nonsense' })).toThrow('Invalid url given');
  gitlab.removeHook(hook);
  expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ body: [] });
});
