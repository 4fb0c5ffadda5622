import { describe, expect, test } from 'vitest';
import { DEVELOPER } from '../../support/gitlab/index.ts';
import { ask, gitlabForTest, idsIn, linkTo } from './api.ts';

describe('pages by number', () => {
  test('lead from the first to the last', async () => {
    const gitlab = await gitlabForTest();
    gitlab.addProjects(45);
    const path = `/groups/${gitlab.root.id}/projects?order_by=id&sort=asc`;
    const first = await ask(gitlab, `GET ${path}`);
    expect(first.body).toHaveLength(20);
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'x-page': '1',
      'x-per-page': '20',
      'x-total': '45',
      'x-total-pages': '3',
      'x-next-page': '2',
      'x-prev-page': '',
    });
    const next = linkTo('next', first.headers);
    expect(next?.origin).toBe(gitlab.url);
    expect(next?.searchParams.get('page')).toBe('2');
    const last = await ask(gitlab, `GET ${path}&page=3`);
    expect(last.body).toHaveLength(5);
    expect(last.headers.get('x-next-page')).toBe('');
    expect(linkTo('next', last.headers)).toBeUndefined();
    expect(await ask(gitlab, `GET ${path}&page=4`)).toMatchObject({ status: 200, body: [] });
  });

  test('hold 100 at most', async () => {
    const gitlab = await gitlabForTest();
    gitlab.addProjects(120);
    expect((await ask(gitlab, 'GET /groups/acme/projects?per_page=1000')).body).toHaveLength(100);
    expect(await ask(gitlab, 'GET /groups/acme/projects?per_page=0')).toMatchObject({
      status: 400,
      body: { error: 'per_page has a value not allowed' },
    });
    expect(await ask(gitlab, 'GET /groups/acme/projects?per_page=many&page=x')).toMatchObject({
      status: 400,
      body: { error: 'page is invalid, per_page is invalid' },
    });
  });

  test('are not counted beyond 10,000, and of all projects there are none beyond 50,000', async () => {
    const gitlab = await gitlabForTest();
    gitlab.addProjects(10_001);
    const { headers } = await ask(gitlab, 'GET /groups/acme/projects?per_page=100&page=100');
    expect([headers.get('x-total'), headers.get('x-total-pages'), linkTo('last', headers)]).toEqual([
      null,
      null,
      undefined,
    ]);
    expect(headers.get('x-next-page')).toBe('101');
    expect(await ask(gitlab, 'GET /projects?per_page=100&page=501')).toMatchObject({ status: 405 });
  });
});

describe('projects of a group', () => {
  test('are its own, unless those of the groups below are asked for too; shared ones unless they are not', async () => {
    const gitlab = await gitlabForTest();
    const below = gitlab.addGroup({ path: 'clay', parent: gitlab.addGroup({ path: 'works', parent: gitlab.root }) });
    const [own, deep, elsewhere] = [
      gitlab.addProject({ path: 'own' }),
      gitlab.addProject({ path: 'deep', group: below }),
      gitlab.addProject({ path: 'shared', group: gitlab.addGroup({ path: 'elsewhere' }) }),
    ];
    gitlab.share(elsewhere, gitlab.root, DEVELOPER);
    const listed = async (query: string) => idsIn(await ask(gitlab, `GET /groups/acme/projects?${query}`)).sort();
    expect(await listed('')).toEqual([own.id, elsewhere.id]);
    expect(await listed('with_shared=false')).toEqual([own.id]);
    expect(await listed('with_shared=false&include_subgroups=true')).toEqual([own.id, deep.id]);
  });

  test('can be narrowed by archived and by access level, and ordered; the newest come first', async () => {
    const gitlab = await gitlabForTest();
    const [b, a, old] = [
      gitlab.addProject({ path: 'b' }),
      gitlab.addProject({ path: 'a' }),
      gitlab.addProject({ path: 'old', archived: true }),
    ];
    const listed = async (query: string) => idsIn(await ask(gitlab, `GET /groups/acme/projects?${query}`));
    expect(await listed('')).toEqual([old.id, a.id, b.id]);
    expect(await listed('archived=false&order_by=path&sort=asc')).toEqual([a.id, b.id]);
    expect(await listed('archived=true')).toEqual([old.id]);
    expect(await listed('min_access_level=50')).toEqual([]);
    expect(await ask(gitlab, 'GET /groups/acme/projects?order_by=colour')).toMatchObject({
      status: 400,
      body: { error: 'order_by does not have a valid value' },
    });
  });
});

describe('all projects by keyset', () => {
  const FIRST = '/projects?pagination=keyset&order_by=id&sort=asc&per_page=100&membership=true';

  test('are each there once, whatever comes and goes meanwhile', async () => {
    const gitlab = await gitlabForTest();
    const projects = gitlab.addProjects(250);
    const seen: number[] = [];
    let path: string | undefined = FIRST;
    let pages = 0;
    while (path !== undefined) {
      const page = await ask(gitlab, `GET ${path}`);
      expect(page.headers.get('x-total')).toBeNull();
      seen.push(...idsIn(page));
      if (pages++ === 0) gitlab.deleteProject(projects[50]!);
      const next = linkTo('next', page.headers);
      path = next && next.pathname.replace('/api/v4', '') + next.search;
    }
    expect(seen).toEqual(projects.map(({ id }) => id));
    // As with GitLab the last page that has something leads on to one that has nothing.
    expect(pages).toBe(4);
  });

  test('only those of which one is a member, with the level asked for', async () => {
    const gitlab = await gitlabForTest();
    const own = gitlab.addProject({ path: 'own' });
    gitlab.addProject({ path: 'public', group: gitlab.addGroup({ path: 'others' }), visibility: 'public' });
    expect(idsIn(await ask(gitlab, `GET ${FIRST}`))).toEqual([own.id]);
    expect(idsIn(await ask(gitlab, `GET ${FIRST}&min_access_level=40`))).toEqual([own.id]);
    expect(idsIn(await ask(gitlab, `GET ${FIRST}&min_access_level=50`))).toEqual([]);
    expect(await ask(gitlab, 'GET /projects')).toMatchObject({ body: [{}, {}] });
  });

  test('405 in another order', async () => {
    const gitlab = await gitlabForTest();
    expect(await ask(gitlab, 'GET /projects?pagination=keyset&order_by=name')).toMatchObject({ status: 405 });
  });

  test('100,000 cost no more than a few: nothing looks through all of them', async () => {
    const gitlab = await gitlabForTest();
    const projects = gitlab.addProjects(100_000);
    // Of this process, because the machine may be busy with others.
    const before = process.cpuUsage();
    for (let n = 0; n < 100; n++) {
      const project = projects[n * 999]!;
      const page = await ask(gitlab, `GET ${FIRST}&id_after=${project.id}`);
      expect(page.body).toHaveLength(100);
      const path = encodeURIComponent(project.path);
      expect(await ask(gitlab, `POST /projects/${path}/hooks`, { url: 'http://127.0.0.1:9/' })).toMatchObject({
        status: 201,
      });
    }
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(8_000);
  });
});

describe('one project', () => {
  test('is there by id and by path, whatever its case', async () => {
    const gitlab = await gitlabForTest();
    const { id } = gitlab.addProject({ path: 'Kiln' });
    for (const key of [String(id), 'acme%2FKiln', 'ACME%2Fkiln'])
      expect(await ask(gitlab, `GET /projects/${key}`)).toMatchObject({
        status: 200,
        body: { id, path_with_namespace: 'acme/Kiln', archived: false },
      });
  });

  test('that has moved redirects from its old path to its id, and has kept the id', async () => {
    const gitlab = await gitlabForTest();
    const project = gitlab.addProject({ path: 'kiln' });
    gitlab.moveProject(project, 'acme/oven');
    const moved = await ask(gitlab, 'GET /projects/acme%2Fkiln/hooks?page=1');
    expect(moved.status).toBe(301);
    expect(moved.headers.get('location')).toBe(`${gitlab.url}/api/v4/projects/${project.id}/hooks?page=1`);
    expect(await ask(gitlab, `GET /projects/${project.id}`)).toMatchObject({
      body: { path_with_namespace: 'acme/oven' },
    });
    const successor = gitlab.addProject({ path: 'kiln' });
    expect(await ask(gitlab, 'GET /projects/acme%2Fkiln')).toMatchObject({ status: 200, body: { id: successor.id } });
  });

  test('that was deleted is gone, also where it had been before', async () => {
    const gitlab = await gitlabForTest();
    const project = gitlab.addProject({ path: 'kiln' });
    gitlab.moveProject(project, 'acme/oven');
    gitlab.deleteProject(project);
    for (const key of [String(project.id), 'acme%2Foven', 'acme%2Fkiln', 'acme'])
      expect(await ask(gitlab, `GET /projects/${key}`)).toMatchObject({
        status: 404,
        body: { message: '404 Project Not Found' },
      });
  });
});

test('a group is there by id and by path', async () => {
  const gitlab = await gitlabForTest();
  const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
  for (const key of [String(group.id), 'acme%2Fclay'])
    expect(await ask(gitlab, `GET /groups/${key}?with_projects=false`)).toMatchObject({
      status: 200,
      body: { id: group.id, full_path: 'acme/clay', parent_id: gitlab.root.id },
    });
  gitlab.addGroup({ path: 'secret' });
  for (const key of ['secret', 'nowhere', '1'])
    expect(await ask(gitlab, `GET /groups/${key}`)).toMatchObject({
      status: 404,
      body: { message: '404 Group Not Found' },
    });
});

test.each([
  ['GET /nothing', 404, { error: '404 Not Found' }],
  ['GET /projects/acme/kiln', 404, { error: '404 Not Found' }],
  ['DELETE /projects', 405, { error: '405 Not Allowed' }],
  ['POST /user', 405, { error: '405 Not Allowed' }],
])('%s: %i', async (request, status, body) => {
  const gitlab = await gitlabForTest();
  expect(await ask(gitlab, request)).toMatchObject({ status, body });
});

test('it may live below its host', async () => {
  const gitlab = await gitlabForTest({ relativeUrlRoot: '/gitlab' });
  gitlab.addProjects(30);
  expect(gitlab.url).toMatch(/:\d+\/gitlab$/);
  const { headers } = await ask(gitlab, 'GET /projects');
  expect(linkTo('next', headers)?.pathname).toBe('/gitlab/api/v4/projects');
  expect((await fetch(gitlab.url.replace('/gitlab', '/api/v4/user'))).url).toBe(`${gitlab.url}/users/sign_in`);
});

test('beside the API there are pages that want a person to sign in', async () => {
  const gitlab = await gitlabForTest();
  const response = await fetch(`${gitlab.url}/api/v3/user`);
  expect([response.status, response.url]).toEqual([200, `${gitlab.url}/users/sign_in`]);
  expect(await response.text()).toContain('<html>');
});
