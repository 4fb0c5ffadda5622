import { onTestFinished, describe, expect, test } from 'vitest';
import { OWNER, type GitlabOptions } from '../../support/gitlab/index.ts';
import { startReceiver, type Answering } from '../../support/receiver.ts';
import { ask, gitlabForTest } from './api.ts';

async function scene(options: GitlabOptions = {}, answer: Answering = 200) {
  const gitlab = await gitlabForTest(options);
  const project = gitlab.addProject({ path: 'kiln' });
  const receiver = await startReceiver({ answer });
  onTestFinished(async () => receiver.close());
  return { gitlab, project, receiver, url: receiver.url };
}

const MINUTE_MS = 60_000;

describe('an event', () => {
  test('goes to the hooks that want it, with their tokens and headers', async () => {
    const { gitlab, project, receiver, url } = await scene();
    gitlab.addHook(project, { url, token: 'secret', custom_headers: { 'X-Hook': '7' } });
    gitlab.addHook(project, { url, push_events: false });
    const payload = { object_kind: 'push', ref: 'refs/heads/main' };
    const deliveries = await gitlab.emit(project, { flag: 'push_events', payload });
    expect(deliveries).toMatchObject([{ status: 200, error: null }]);
    const [request] = await receiver.waitForRequests(1);
    expect(JSON.parse(String(request?.rawBody))).toEqual(payload);
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'GitLab/18.5.1',
      'x-gitlab-token': 'secret',
      'x-gitlab-event': 'Push Hook',
      'x-gitlab-instance': gitlab.url,
      'x-hook': '7',
      'x-gitlab-event-uuid': expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      'x-gitlab-webhook-uuid': expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      'idempotency-key': expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    });
    expect(receiver.requests).toHaveLength(1);
  });

  test('has one uuid and a key for each hook; sent again it has the same key', async () => {
    const { gitlab, project, receiver, url } = await scene();
    for (let n = 0; n < 2; n++) gitlab.addHook(project, { url });
    const [first] = await gitlab.emit(project, 'push_events');
    const [a, b] = await receiver.waitForRequests(2);
    expect(a?.headers['x-gitlab-event-uuid']).toBe(b?.headers['x-gitlab-event-uuid']);
    expect(a?.headers['idempotency-key']).not.toBe(b?.headers['idempotency-key']);
    expect(a?.headers).not.toHaveProperty('x-gitlab-token');
    const again = await gitlab.resend(first!);
    expect(again.headers['Idempotency-Key']).toBe(first!.headers['Idempotency-Key']);
    expect(again.body).toBe(first!.body);
  });

  test('goes to the hooks of every group above too, in the editions that have them', async () => {
    const { gitlab, receiver, url } = await scene({ settings: { premium: true } });
    const project = gitlab.addProject({ path: 'deep', group: gitlab.addGroup({ path: 'clay', parent: gitlab.root }) });
    gitlab.addHook(gitlab.root, { url, token: 'of the group' });
    await gitlab.emit(project, 'push_events');
    expect(receiver.requests.map(({ headers }) => headers['x-gitlab-token'])).toEqual(['of the group']);
    Object.assign(gitlab.settings, { premium: false, unlicensed: true });
    expect(await gitlab.emit(project, 'push_events')).toEqual([]);
  });

  test('is not sent for branches that the filter leaves out', async () => {
    const { gitlab, project, url } = await scene();
    gitlab.addHook(project, { url, push_events_branch_filter: 'release/*' });
    const push = (ref: string) => gitlab.emit(project, { flag: 'push_events', payload: { ref } });
    expect(await push('refs/heads/main')).toEqual([]);
    expect(await push('refs/heads/release/1.0')).toHaveLength(1);
  });

  test('says when nobody took it', async () => {
    const { gitlab, project } = await scene();
    gitlab.addHook(project, { url: 'http://127.0.0.1:1/' });
    expect(await gitlab.emit(project, 'push_events')).toMatchObject([
      { status: null, error: expect.stringContaining('ECONNREFUSED') as unknown },
    ]);
  });
});

describe('a hook that fails', () => {
  test('four times is disabled for a minute, then for two, and a success makes it well', async () => {
    const { gitlab, project, receiver, url } = await scene({}, 500);
    const hook = gitlab.addHook(project, { url });
    for (let n = 0; n < 3; n++) await gitlab.emit(project, 'push_events');
    expect(gitlab.alertStatusOf(hook)).toBe('executable');
    await gitlab.emit(project, 'push_events');
    const path = `/projects/${project.id}/hooks/${hook.id}`;
    const { body } = await ask(gitlab, `GET ${path}`);
    expect(body).toMatchObject({ alert_status: 'temporarily_disabled' });
    const { disabled_until: until } = body as { disabled_until: string };
    expect(Math.abs(Date.parse(until) - gitlab.clock.now() - MINUTE_MS)).toBeLessThan(30_000);
    expect(await gitlab.emit(project, 'push_events')).toEqual([]);

    gitlab.clock.advance(MINUTE_MS + 1);
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({
      body: { alert_status: 'executable', disabled_until: until },
    });
    expect(await gitlab.emit(project, 'push_events')).toHaveLength(1);
    gitlab.clock.advance(MINUTE_MS + 1);
    expect(gitlab.alertStatusOf(hook)).toBe('temporarily_disabled');
    gitlab.clock.advance(MINUTE_MS);
    receiver.answerWith(302);
    await gitlab.emit(project, 'push_events');
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({
      body: { alert_status: 'executable', disabled_until: null },
    });
  });

  test('forty times is disabled for good', async () => {
    const { gitlab, project, url } = await scene({}, 500);
    const hook = gitlab.addHook(project, { url });
    for (let n = 0; n < 40; n++) {
      expect(await gitlab.emit(project, 'push_events')).toHaveLength(1);
      gitlab.clock.advance(25 * 60 * MINUTE_MS);
    }
    expect(gitlab.alertStatusOf(hook)).toBe('disabled');
    expect(await gitlab.emit(project, 'push_events')).toEqual([]);
  });

  test('is not disabled where that is switched off', async () => {
    const { gitlab, project, url } = await scene({ settings: { autoDisabling: false } }, 500);
    const hook = gitlab.addHook(project, { url });
    for (let n = 0; n < 5; n++) await gitlab.emit(project, 'push_events');
    expect(gitlab.alertStatusOf(hook)).toBe('executable');
  });
});

describe('a test send', () => {
  test.each(['temporarily_disabled', 'disabled'] as const)(
    'reaches a hook that is %s, and enables it',
    async (status) => {
      const { gitlab, project, receiver, url } = await scene();
      const hook = gitlab.addHook(project, { url, token: 'secret' });
      gitlab.disableHook(hook, status);
      expect(gitlab.alertStatusOf(hook)).toBe(status);
      const answer = await ask(gitlab, `POST /projects/${project.id}/hooks/${hook.id}/test/push_events`);
      expect(answer).toMatchObject({ status: 201, body: { message: '201 Created' } });
      expect(receiver.requests[0]?.headers).toMatchObject({
        'x-gitlab-token': 'secret',
        'x-gitlab-event': 'Push Hook',
      });
      expect(gitlab.alertStatusOf(hook)).toBe('executable');
    },
  );

  test.each([
    ['the answer of its receiver', { status: 503, body: 'not today' }, 'not today'],
    ['a redirect, which is none it follows', { status: 302, body: 'elsewhere' }, 'elsewhere'],
  ])('that fails says 422 with %s', async (_, answer, message) => {
    const { gitlab, project, url } = await scene({}, answer);
    const hook = gitlab.addHook(project, { url });
    const path = `/projects/${project.id}/hooks/${hook.id}/test/push_events`;
    expect(await ask(gitlab, `POST ${path}`)).toMatchObject({ status: 422, body: { message } });
  });

  test('that reaches nobody says 422 with the reason', async () => {
    const { gitlab, project } = await scene();
    const hook = gitlab.addHook(project, { url: 'http://127.0.0.1:1/' });
    gitlab.disableHook(hook, 'temporarily_disabled');
    const path = `/projects/${project.id}/hooks/${hook.id}/test/push_events`;
    const message = expect.stringContaining('ECONNREFUSED') as unknown;
    expect(await ask(gitlab, `POST ${path}`)).toMatchObject({ status: 422, body: { message } });
    expect(gitlab.alertStatusOf(hook)).toBe('temporarily_disabled');
  });

  test('needs a commit, and a trigger that can be tested', async () => {
    const { gitlab, url } = await scene();
    const project = gitlab.addProject({ path: 'empty', empty: true });
    const hook = gitlab.addHook(project, { url });
    const path = `/projects/${project.id}/hooks/${hook.id}/test`;
    expect(await ask(gitlab, `POST ${path}/push_events`)).toMatchObject({
      status: 422,
      body: { message: 'Ensure the project has at least one commit.' },
    });
    expect(await ask(gitlab, `POST ${path}/deployment_events`)).toMatchObject({
      status: 400,
      body: { error: 'trigger does not have a valid value' },
    });
  });

  test('may be asked for five times a minute in a project; the rest of the API goes on', async () => {
    const { gitlab, project, url } = await scene();
    const hooks = [gitlab.addHook(project, { url }), gitlab.addHook(project, { url })];
    const send = async (n: number) =>
      ask(gitlab, `POST /projects/${project.id}/hooks/${hooks[n % 2]!.id}/test/push_events`);
    for (let n = 0; n < 5; n++) expect(await send(n)).toMatchObject({ status: 201 });
    const refused = await send(5);
    expect(refused).toMatchObject({
      status: 429,
      body: { message: { error: 'This endpoint has been requested too many times. Try again later.' } },
    });
    expect(refused.headers.get('retry-after')).toBe('60');
    expect(await ask(gitlab, `GET /projects/${project.id}/hooks`)).toMatchObject({ status: 200 });
    gitlab.clock.advance(MINUTE_MS + 1);
    expect(await send(6)).toMatchObject({ status: 201 });
  });

  test('of a group hook takes a project of the group', async () => {
    const { gitlab, project, receiver, url } = await scene({ botAccess: OWNER, settings: { premium: true } });
    const hook = gitlab.addHook(gitlab.root, { url });
    const path = `/groups/acme/hooks/${hook.id}/test/push_events`;
    expect(await ask(gitlab, `POST ${path}`)).toMatchObject({ status: 201 });
    expect(JSON.parse(String(receiver.requests[0]?.rawBody))).toMatchObject({ project_id: project.id });
  });

  test('is not there before GitLab 16.11', async () => {
    const { gitlab, project, url } = await scene({ settings: { version: '16.10' } });
    const hook = gitlab.addHook(project, { url });
    const path = `/projects/${project.id}/hooks/${hook.id}/test/push_events`;
    expect(await ask(gitlab, `POST ${path}`)).toMatchObject({ status: 404, body: { error: '404 Not Found' } });
  });
});
