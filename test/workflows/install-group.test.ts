import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertEachHasItsHook, assertEventsArrive, hookRowOf, hooksOfOurs } from '../support/gitlab-hook-assertions.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import { makeDue } from '../support/gitlab-hook-world.ts';
import { type Gitlab, MAINTAINER, OWNER, type Project } from '../support/gitlab/index.ts';

let world: InstallerEnvironment;
let gitlab: Gitlab;
let projects: Project[];
beforeAll(async () => {
  const options = { botAccess: OWNER, settings: { premium: false } };
  world = await startInstallerEnvironment({ gitlab: options, settings: { GITLAB_GROUP: 'acme' } });
  ({ gitlab } = world);
  const subgroup = gitlab.addGroup({ path: 'deep', parent: gitlab.root });
  projects = [...gitlab.addProjects(20), ...gitlab.addProjects(4, subgroup)];
});
afterAll(() => world.stop());

async function assertCovered(): Promise<void> {
  await assertEachHasItsHook(world, [gitlab.root]);
  for (const project of projects) {
    expect(hooksOfOurs(world, project).length, project.path).toBe(0);
    expect(await hookRowOf(world, project), project.path).toMatchObject({ state: 'covered' });
  }
  // Not once more for every hook that is left over.
  await assertEventsArrive(world, projects);
}

async function assertEachByItself(): Promise<void> {
  await assertEachHasItsHook(world, projects);
  await assertEventsArrive(world, projects);
}

const groupState = async () => (await world.forgeflow.gitlab.status()).groups.map(({ path, state }) => [path, state]);

describe('G9: the group of GITLAB_GROUP', () => {
  test('in an edition without group hooks its projects have their own, and nothing counts as blocked', async () => {
    expect(await world.run()).toMatchObject({ installed: 24, blocked: 0, failed: 0, remaining: 0 });
    await assertEachByItself();
    expect(await groupState()).toEqual([['acme', 'not_found']]);
  });

  test('with group hooks, but as a Maintainer: the same', async () => {
    gitlab.settings.premium = true;
    gitlab.addMember(gitlab.root, gitlab.bot, MAINTAINER);
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ verified: 24, blocked: 0, failed: 0, remaining: 0 });
    expect(gitlab.root.hooks.length).toBe(0);
    expect(await groupState()).toEqual([['acme', 'no_access']]);
    await assertEachByItself();
  });

  test('as an Owner: one hook of the group covers them, and theirs are removed', async () => {
    gitlab.addMember(gitlab.root, gitlab.bot, OWNER);
    expect(await world.run()).toMatchObject({ installed: 1, covered: 24, blocked: 0, failed: 0, remaining: 0 });
    await assertCovered();
    expect(await groupState()).toEqual([['acme', 'installed']]);
  });

  test('a project that comes new needs none from the first', async () => {
    projects.push(gitlab.addProject({ path: 'newcomer' }));
    gitlab.forgetRequests();
    expect(await world.run()).toMatchObject({ verified: 1, installed: 0, remaining: 0 });
    expect(gitlab.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
    await assertCovered();
  });

  test('a project that leaves the group gets its own, and one that comes back loses it', async () => {
    const elsewhere = gitlab.addGroup({ path: 'elsewhere' });
    gitlab.addMember(elsewhere, gitlab.bot, MAINTAINER);
    const project = projects[0]!;
    gitlab.moveProject(project, 'elsewhere/moved');
    expect(await world.run()).toMatchObject({ repaired: 1, verified: 1, blocked: 0, failed: 0 });
    await assertEachHasItsHook(world, [project]);
    await assertEventsArrive(world, [project]);
    gitlab.moveProject(project, 'acme/moved-back');
    expect(await world.run()).toMatchObject({ covered: 1, verified: 1, blocked: 0, failed: 0 });
    await assertCovered();
  });

  test('a hook of the group that somebody removed is made again, and covers on', async () => {
    gitlab.removeHook(gitlab.hooksOf(gitlab.root)[0]!);
    expect(await world.run()).toMatchObject({ repaired: 1, installed: 0, covered: 0 });
    await assertCovered();
  });

  test('once the edition has no group hooks any more, each project gets its own, in the same run', async () => {
    gitlab.settings.premium = false;
    expect(await world.run()).toMatchObject({ installed: 1, repaired: 24, blocked: 0, failed: 0 });
    await assertEachByItself();
  });
});
