import { describe, expect, test } from 'vitest';
import { DEVELOPER, GUEST, MAINTAINER, OWNER } from '../../support/gitlab/index.ts';
import { ask, gitlabForTest } from './api.ts';

const HOOK = { url: 'http://127.0.0.1:9/gitlab/events' };

describe('who is asking', () => {
  test('is known by its PRIVATE-TOKEN, or by a bearer token', async () => {
    const gitlab = await gitlabForTest();
    const bearer = { token: null, headers: { Authorization: `Bearer ${gitlab.token}` } };
    for (const answer of [await ask(gitlab, 'GET /user'), await ask(gitlab, 'GET /user', undefined, bearer)])
      expect(answer).toMatchObject({ status: 200, body: { id: gitlab.bot.id, username: 'forgeflow-bot' } });
  });

  test.each([
    ['no token', null],
    ['a wrong one', 'glpat-wrong'],
  ])('401 for %s', async (_, token) => {
    const gitlab = await gitlabForTest();
    const answer = await ask(gitlab, 'GET /user', undefined, { token });
    expect(answer).toMatchObject({ status: 401, body: { message: '401 Unauthorized' } });
  });

  test('401 that says why, for a token that has expired by the clock, and for a revoked one', async () => {
    const gitlab = await gitlabForTest();
    const token = gitlab.addToken(gitlab.bot, { expiresAt: gitlab.clock.now() + 60_000 }).value;
    expect(await ask(gitlab, 'GET /user', undefined, { token })).toMatchObject({ status: 200 });
    gitlab.clock.advance(60_000);
    expect(await ask(gitlab, 'GET /user', undefined, { token })).toMatchObject({
      status: 401,
      body: { error: 'invalid_token', error_description: expect.stringContaining('Token is expired') as unknown },
    });
    gitlab.revokeToken(gitlab.token);
    expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 401, body: { error: 'invalid_token' } });
  });

  test('403 for a scope that is too narrow: read_api reads, and changes nothing', async () => {
    const gitlab = await gitlabForTest();
    const { id } = gitlab.addProject({ path: 'kiln' });
    const token = gitlab.addToken(gitlab.bot, { scopes: ['read_api'] }).value;
    expect(await ask(gitlab, `GET /projects/${id}/hooks`, undefined, { token })).toMatchObject({ status: 200 });
    const answer = await ask(gitlab, `POST /projects/${id}/hooks`, HOOK, { token });
    expect(answer).toMatchObject({ status: 403, body: { error: 'insufficient_scope', scope: 'api' } });
    expect(await ask(gitlab, 'GET /projects', undefined, readUserToken(gitlab))).toMatchObject({ status: 403 });
    expect(await ask(gitlab, 'GET /user', undefined, readUserToken(gitlab))).toMatchObject({ status: 200 });
  });

  const readUserToken = (gitlab: Awaited<ReturnType<typeof gitlabForTest>>) => ({
    token: gitlab.addToken(gitlab.bot, { scopes: ['read_user'] }).value,
  });

  test('403 for a user who is blocked', async () => {
    const gitlab = await gitlabForTest();
    gitlab.blockUser(gitlab.bot);
    expect(await ask(gitlab, 'GET /user')).toMatchObject({
      status: 403,
      body: { message: '403 Forbidden - Your account has been blocked.' },
    });
  });
});

describe('what it may', () => {
  test('hooks of a project want a Maintainer; below it 403, for a private project one does not see 404', async () => {
    const gitlab = await gitlabForTest();
    const project = gitlab.addProject({ path: 'kiln' });
    const ada = gitlab.addUser({ username: 'ada' });
    const token = gitlab.addToken(ada).value;
    const list = async () => ask(gitlab, `GET /projects/${project.id}/hooks`, undefined, { token });
    expect(await list()).toMatchObject({ status: 404, body: { message: '404 Project Not Found' } });
    gitlab.addMember(project, ada, DEVELOPER);
    expect(await list()).toMatchObject({ status: 403, body: { message: '403 Forbidden' } });
    gitlab.addMember(project, ada, MAINTAINER);
    expect(await list()).toMatchObject({ status: 200, body: [] });
    gitlab.removeMember(project, ada);
    gitlab.changeProject(project, { visibility: 'public' });
    expect(await list()).toMatchObject({ status: 403 });
  });

  test('hooks of a group want an Owner', async () => {
    const gitlab = await gitlabForTest({ settings: { premium: true } });
    expect(await ask(gitlab, 'GET /groups/acme/hooks')).toMatchObject({ status: 403 });
    gitlab.addMember(gitlab.root, gitlab.bot, OWNER);
    expect(await ask(gitlab, 'GET /groups/acme/hooks')).toMatchObject({ status: 200 });
  });

  test('administrators may everything, and are no members for that', async () => {
    const gitlab = await gitlabForTest();
    const { id } = gitlab.addProject({ path: 'kiln' });
    const root = gitlab.addUser({ username: 'root', admin: true });
    const token = gitlab.addToken(root).value;
    expect(await ask(gitlab, `POST /projects/${id}/hooks`, HOOK, { token })).toMatchObject({ status: 201 });
    const member = await ask(gitlab, `GET /projects/${id}/members/all/${root.id}`, undefined, { token });
    expect(member).toMatchObject({ status: 404, body: { message: '404 Not found' } });
  });
});

describe('members', () => {
  test('are inherited from every group above, and the highest level wins', async () => {
    const gitlab = await gitlabForTest();
    const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
    const project = gitlab.addProject({ path: 'kiln', group });
    gitlab.addMember(project, gitlab.bot, GUEST);
    const path = `/projects/${project.id}/members/all/${gitlab.bot.id}`;
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ status: 200, body: { access_level: MAINTAINER } });
    gitlab.addMember(group, gitlab.bot, OWNER);
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ body: { access_level: OWNER } });
    const ofGroup = await ask(gitlab, `GET /groups/acme%2Fclay/members/all/${gitlab.bot.id}`);
    expect(ofGroup).toMatchObject({ status: 200, body: { id: gitlab.bot.id, access_level: OWNER } });
  });

  test('of an invited group have what they have there, and at most what it was invited with', async () => {
    const gitlab = await gitlabForTest();
    const project = gitlab.addProject({ path: 'kiln' });
    const [potters, owner, guest] = [
      gitlab.addGroup({ path: 'potters' }),
      gitlab.addUser({ username: 'ada' }),
      gitlab.addUser({ username: 'bob' }),
    ];
    gitlab.addMember(potters, owner, OWNER);
    gitlab.addMember(potters, guest, GUEST);
    gitlab.share(project, potters, MAINTAINER);
    const levelOf = async (id: number) => (await ask(gitlab, `GET /projects/${project.id}/members/all/${id}`)).body;
    expect(await levelOf(owner.id)).toMatchObject({ access_level: MAINTAINER });
    expect(await levelOf(guest.id)).toMatchObject({ access_level: GUEST });
  });

  test('are listed in pages, and 404 when they are none', async () => {
    const gitlab = await gitlabForTest();
    const project = gitlab.addProject({ path: 'kiln' });
    for (let n = 0; n < 25; n++) gitlab.addMember(project, gitlab.addUser({ username: `potter-${n}` }), DEVELOPER);
    const stranger = gitlab.addUser({ username: 'stranger' });
    const second = await ask(gitlab, `GET /projects/${project.id}/members/all?page=2`);
    expect(second.body).toHaveLength(6);
    expect(second.headers.get('x-total')).toBe('26');
    for (const id of [stranger.id, 999_999])
      expect(await ask(gitlab, `GET /projects/${project.id}/members/all/${id}`)).toMatchObject({ status: 404 });
    expect(await ask(gitlab, `GET /projects/${project.id}/members/all/me`)).toMatchObject({
      status: 400,
      body: { error: 'user_id is invalid' },
    });
  });
});
