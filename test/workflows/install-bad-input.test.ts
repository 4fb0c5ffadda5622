import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deliverTo, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { assertEachHasItsHook, hookRowOf, hookRows, hooksOfOurs } from '../support/gitlab-hook-assertions.ts';
import { makeDue, renew } from '../support/gitlab-hook-world.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import { assertNoSecretShows } from '../support/gitlab-secrets.ts';
import { DEVELOPER, type Fault, type Gitlab, MAINTAINER, type Project } from '../support/gitlab/index.ts';
import { startReceiver } from '../support/receiver.ts';

describe('a worker without the settings of GitLab', () => {
  let environment: Environment;
  beforeAll(async () => {
    environment = await startEnvironment();
  });
  afterAll(() => environment.stop());

  test('serves everything else; a run of the installer fails, and names the variable', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const { id } = await deliverTo(forgeflow, receiver.url);
    await expect(forgeflow.installWebhooks()).rejects.toThrow(/^GITLAB_URL: it is not set/);
    await expect(forgeflow.installWebhooks({ repository: 'acme/any' })).rejects.toThrow(/^GITLAB_URL: it is not set/);
    await expect(forgeflow.gitlab.sync()).rejects.toThrow(/^GITLAB_URL: it is not set/);
    const { lastRun } = await forgeflow.gitlab.status();
    expect(lastRun).toMatchObject({ endedEarly: null, error: expect.stringMatching(/^GITLAB_URL: /) as string });
    await untilDelivery(forgeflow, id, ({ state }) => state === 'delivered');
    await receiver.close();
  });
});

let world: InstallerEnvironment;
let gitlab: Gitlab;
let projects: Project[];
beforeAll(async () => {
  world = await startInstallerEnvironment();
  ({ gitlab } = world);
});
afterAll(() => world.stop());
beforeEach(async () => {
  projects = await renew(world, 12);
});

const hooks = (project: Project) => new RegExp(`^/projects/${project.id}/hooks`);
const HOUR = 3_600_000;

describe('G7: a repository that cannot be done', () => {
  test('gets a reason and a time, keeps its row, and keeps none of the others; later it is looked at again', async () => {
    const faults: [fault: Fault, method: string, reason: RegExp][] = [
      ['html', 'GET', /web page|HTML|JSON/i],
      [{ instead: 'It works!', contentType: 'text/plain' }, 'GET', /JSON/i],
      [{ instead: '{"hooks": []}' }, 'GET', /list of hooks/],
      ['truncated', 'GET', /JSON|broke off/i],
      ['brokenOff', 'GET', /broke off/],
      ['truncated', 'POST', /JSON|broke off/i],
      [{ status: 404 }, 'GET', /web page/],
      [
        { status: 422, body: { error: 'Url is blocked: Requests to the local network are not allowed' } },
        'POST',
        /Url is blocked/,
      ],
    ];
    faults.forEach(([fault, method], index) => {
      gitlab.faults.add({ method, path: hooks(projects[index]!), fault });
    });
    const full = projects[faults.length]!;
    for (let count = 0; count < 100; count++) gitlab.addHook(full, { url: 'https://chat.example.com/' });

    const result = await world.run();
    expect(result).toMatchObject({ endedEarly: null, failed: 9, installed: 3, blocked: 0, remaining: 0 });
    await assertEachHasItsHook(world, projects.slice(9));
    const reasons = [...faults.map(([, , reason]) => reason), /no more hooks here.*\(100\)/];
    for (const [index, reason] of reasons.entries()) {
      const row = await hookRowOf(world, projects[index]!);
      expect(row).toMatchObject({ state: 'error', failures: 1, reason: expect.stringMatching(reason) as string });
      expect(row.due_at.getTime() - row.last_checked_at!.getTime()).toBe(HOUR);
    }
    expect((await world.forgeflow.gitlab.status()).repositories.blocked).toMatchObject({ error: 9, not_found: 0 });

    gitlab.faults.clear();
    expect(await world.run()).toMatchObject({ installed: 0, failed: 0, remaining: 0 }); // it is not time yet
    gitlab.settings.hookLimits.project = 101;
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ installed: 8, adopted: 1, failed: 0, remaining: 0 });
    gitlab.settings.hookLimits.project = 100;
    await assertEachHasItsHook(world, projects);
  });

  test('by 5xx, or because no answer comes, stays pending and due', async () => {
    const faults: Fault[] = [{ status: 502 }, { statusAfterWork: 503 }, 'reset', 'lostAnswer'];
    faults.forEach((fault, index) => {
      gitlab.faults.add({ method: 'POST', path: hooks(projects[index]!), fault });
    });
    expect(await world.run()).toMatchObject({ endedEarly: null, failed: 4, installed: 8, remaining: 0 });
    for (const project of projects.slice(0, 4)) {
      expect(await hookRowOf(world, project)).toMatchObject({ state: 'pending', failures: 1 });
    }
    gitlab.faults.clear();
    expect(await world.run()).toMatchObject({ failed: 0, installed: 2, adopted: 2, remaining: 0 });
    await assertEachHasItsHook(world, projects);
  });

  test('because it is gone, or our account was demoted, is looked at again, and comes back', async () => {
    await world.run();
    const [gone, ...others] = projects as [Project, ...Project[]];
    gitlab.deleteProject(gone);
    gitlab.addMember(gitlab.root, gitlab.bot, DEVELOPER);
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ endedEarly: null, blocked: 12, failed: 0, remaining: 0 });
    expect(await hookRowOf(world, gone)).toMatchObject({ state: 'not_found' });
    const reason = 'our account has access level 30; hooks need 40 (Maintainer)';
    for (const project of others) expect(await hookRowOf(world, project)).toMatchObject({ state: 'no_access', reason });
    expect((await world.forgeflow.gitlab.status()).repositories.blocked).toMatchObject({ not_found: 1, no_access: 11 });
    expect((await hookRows(world.db)).length).toBe(12);

    gitlab.addMember(gitlab.root, gitlab.bot, MAINTAINER);
    expect(await world.run()).toMatchObject({ blocked: 0, verified: 0 }); // it is not time yet
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ blocked: 1, verified: 11 });
    await assertEachHasItsHook(world, others);
  });
});

describe('G3: our right', () => {
  test('may be inherited, or that of a group that was invited; less than a Maintainer is not enough', async () => {
    const other = gitlab.addGroup({ path: `other-${projects[0]!.id}` });
    const team = gitlab.addGroup({ path: `team-${projects[0]!.id}` });
    const below = gitlab.addGroup({
      path: 'below',
      parent: gitlab.addGroup({ path: `g${projects[0]!.id}`, parent: gitlab.root }),
    });
    gitlab.addMember(team, gitlab.bot, MAINTAINER);
    const place = (path: string, group = other) => gitlab.addProject({ path, group });
    const [inherited, invited, invitedAsLess, asDeveloper, asNobody] = [
      place('inherited', below),
      place('invited'),
      place('invited-as-less'),
      place('as-developer'),
      gitlab.addProject({ path: 'as-nobody', group: other, visibility: 'public' }),
    ];
    gitlab.share(invited, team, MAINTAINER);
    gitlab.share(invitedAsLess, team, DEVELOPER);
    gitlab.addMember(asDeveloper, gitlab.bot, DEVELOPER);
    expect(await world.run()).toMatchObject({ installed: 14, blocked: 0, failed: 0 });
    await assertEachHasItsHook(world, [...projects, inherited, invited]);
    for (const project of [invitedAsLess, asDeveloper, asNobody]) {
      expect(await world.run({ repository: project.path })).toMatchObject({ blocked: 1, installed: 0 });
      expect(await hookRowOf(world, project)).toMatchObject({ state: 'no_access' });
      expect(project.hooks.length).toBe(0);
    }
    expect(await hookRowOf(world, asNobody)).toMatchObject({ reason: 'our account is not a member of the project' });
    gitlab.addMember(asDeveloper, gitlab.bot, MAINTAINER);
    expect(await world.run({ repository: asDeveloper.path })).toMatchObject({ installed: 1 }); // due or not
    await assertEachHasItsHook(world, [asDeveloper]);
    for (const project of [inherited, invited, invitedAsLess, asDeveloper, asNobody]) gitlab.deleteProject(project);
  });

  test('archived repositories get no hook, and keep what they have', async () => {
    const [archived, later] = projects as [Project, Project];
    gitlab.changeProject(archived, { archived: true });
    expect(await world.run()).toMatchObject({ installed: 11, blocked: 0, failed: 0 });
    expect(archived.hooks.length).toBe(0);
    gitlab.changeProject(later, { archived: true });
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ verified: 11, blocked: 0, failed: 0 });
    await assertEachHasItsHook(world, [later]);
    gitlab.changeProject(archived, { archived: false });
    expect(await world.run()).toMatchObject({ installed: 1 });
  });
});

test('G7: a token that becomes worthless in mid-run ends it at once; what was done stays, and the rest follows', async () => {
  const { bot } = gitlab;
  const shutOut = {
    do: () => {
      gitlab.blockUser(bot);
    },
    when: 'before',
  } as const;
  gitlab.faults.add({ method: 'POST', path: /\/hooks$/, from: 6, times: 1, fault: shutOut });
  const result = await world.run();
  expect(result).toMatchObject({ endedEarly: 'invalid_credentials', retryAt: null, failed: 0 });
  expect(result.installed).toBeLessThanOrEqual(5);
  expect(result.blocked).toBeLessThanOrEqual(4); // those in hand
  expect(result.installed + result.blocked + result.remaining).toBe(12);
  expect(projects.flatMap((project) => hooksOfOurs(world, project)).length).toBe(result.installed);
  expect(await world.run()).toMatchObject({ endedEarly: 'invalid_credentials', blocked: 0, installed: 0 });
  gitlab.blockUser(bot, false);
  expect(await world.run()).toMatchObject({ endedEarly: null, installed: 12 - result.installed, remaining: 0 });
  await assertEachHasItsHook(world, projects);
});

test('no token shows in histories or records, whatever was answered', async () => {
  await world.run();
  await assertNoSecretShows(world);
});
