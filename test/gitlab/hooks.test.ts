import { afterEach, beforeEach, expect, test } from 'vitest';
import { flagsOf, HOOK_EVENTS, type HookFlags, type HookOwnerKind } from '../../src/domain/hook-events.ts';
import { GitlabHookLimitReached, GitlabNotFound, GitlabRejected } from '../../src/gitlab/errors.ts';
import { OWNER } from '../support/gitlab/index.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { HOOK_TOKEN, hookBody } from './hook-body.ts';
import { at, withGitlab } from './with-gitlab.ts';

const now = withGitlab();
let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.close();
});

/** All that this stand-in has: the newest of GitLab's is not among them. */
const everyFlag = (kind: HookOwnerKind): HookFlags =>
  Object.fromEntries(
    Object.entries(flagsOf(HOOK_EVENTS, kind)).filter(([flag]) => flag !== 'resource_deploy_token_events'),
  );

test.each(['project', 'group'] as const)('G8, G9: of a %s are made, changed, listed and removed', async (kind) => {
  const { gitlab, client } = now;
  const owner = kind === 'project' ? gitlab.addProject({ path: 'kiln' }) : gitlab.root;
  gitlab.addMember(gitlab.root, gitlab.bot, OWNER);
  const made = await client.createHook(at(owner), hookBody({ flags: everyFlag(kind) }));
  expect(gitlab.hooksOf(owner)).toMatchObject([{ id: made.id, url: hookBody().url, token: HOOK_TOKEN }]);
  expect(made).toMatchObject({
    flags: everyFlag(kind),
    sslVerification: true,
    alertStatus: 'executable',
    name: 'forgeflow',
    description: hookBody().description,
  });
  expect(await client.listHooks(at(owner))).toEqual([made]);
  const moved = hookBody({
    url: 'https://other.example.com/gitlab/events',
    flags: { ...everyFlag(kind), job_events: false },
  });
  const changed = await client.updateHook(at(owner), made.id, moved);
  expect(changed).toMatchObject({ id: made.id, url: moved.url, flags: moved.flags });
  expect(gitlab.hooksOf(owner)).toMatchObject([{ token: HOOK_TOKEN }]);
  await client.deleteHook(at(owner), made.id);
  await client.deleteHook(at(owner), made.id);
  expect(gitlab.hooksOf(owner)).toEqual([]);
  expect(gitlab.unknownParameters).toEqual([]);
});

test.each([0, 1, 100, 101, 250])('G3: %i are listed, page after page', async (count) => {
  const { gitlab, client } = now;
  gitlab.settings.hookLimits.project = 1_000;
  const project = gitlab.addProject({ path: 'kiln' });
  for (let n = 0; n < count; n++) gitlab.addHook(project, { url: `https://hooks.example.com/${n}` });
  const hooks = await client.listHooks(at(project));
  expect(hooks.map(({ id }) => id).sort((a, b) => a - b)).toEqual(gitlab.hooksOf(project).map(({ id }) => id));
  expect(gitlab.requests).toHaveLength(Math.max(1, Math.ceil(count / 100)));
});

test('G8: an old GitLab knows neither name nor description, and the hook says so by having none', async () => {
  const { gitlab, client } = now;
  gitlab.settings.version = '16.0.0';
  const project = gitlab.addProject({ path: 'kiln' });
  const made = await client.createHook(at(project), hookBody());
  expect(made).not.toHaveProperty('name');
  expect(made).not.toHaveProperty('description');
  expect(await client.listHooks(at(project))).toEqual([made]);
});

test('G7: beyond the limit there is no other', async () => {
  const { gitlab, client } = now;
  gitlab.settings.hookLimits.project = 1;
  const project = gitlab.addProject({ path: 'kiln' });
  await client.createHook(at(project), hookBody());
  await expect(client.createHook(at(project), hookBody())).rejects.toBeInstanceOf(GitlabHookLimitReached);
});

test('G7: a URL that GitLab does not want is rejected', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  await expect(client.createHook(at(project), hookBody({ url: 'no url' }))).rejects.toBeInstanceOf(GitlabRejected);
});

test('G5: a disabled hook shows it; a test send that works enables it, one that does not leaves it', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const { id } = await client.createHook(at(project), hookBody({ url: receiver.url }));
  const [hook] = gitlab.hooksOf(project);
  gitlab.disableHook(hook!, 'temporarily_disabled');
  expect(await client.listHooks(at(project))).toMatchObject([
    { alertStatus: 'temporarily_disabled', disabledUntil: expect.stringMatching(/^20\d\d-/) as string },
  ]);
  receiver.answerWith(500);
  await expect(client.testHook(at(project), id)).rejects.toBeInstanceOf(GitlabRejected);
  receiver.answerWith(200);
  await client.testHook(at(project), id);
  expect(await client.listHooks(at(project))).toMatchObject([{ alertStatus: 'executable', disabledUntil: null }]);
  expect(receiver.requests.at(-1)!.headers).toMatchObject({ 'x-gitlab-token': HOOK_TOKEN });
});

test('G5: test sends have a limit of their own', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const { id } = await client.createHook(at(project), hookBody({ url: receiver.url }));
  const sends = Array.from({ length: 8 }, () => client.testHook(at(project), id));
  const refused = (await Promise.allSettled(sends)).filter(({ status }) => status === 'rejected');
  expect(refused).toMatchObject(refused.map(() => ({ reason: { name: 'GitlabRateLimited', scope: 'call' } })));
  expect(refused).toHaveLength(3);
  await expect(client.listHooks(at(project))).resolves.toHaveLength(1);
});

test('G9: of a group, where the edition has none, are not found', async () => {
  const { gitlab, client } = now;
  gitlab.settings.premium = false;
  gitlab.addMember(gitlab.root, gitlab.bot, OWNER);
  await expect(client.listHooks(at(gitlab.root))).rejects.toBeInstanceOf(GitlabNotFound);
});
