import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findHookOfGroup } from '../../src/database/gitlab-hooks.ts';
import { findRepositoryByPath } from '../../src/database/repositories.ts';
import { breakOffAt } from '../support/broken-transaction.ts';
import type { Fault, Group, Project } from '../support/gitlab/index.ts';
import { type PeopleWorld, startPeopleWorld } from '../support/people-world.ts';

const HOUR = 3_600_000;

let world: PeopleWorld;
let group: Group;
let below: Group;
let count = 0;
beforeAll(async () => {
  world = await startPeopleWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  const { gitlab } = world;
  gitlab.faults.clear();
  gitlab.rateLimit.allow();
  await world.restart();
  await world.requested();
  group = gitlab.addGroup({ path: `clay-${++count}`, parent: gitlab.root });
  below = gitlab.addGroup({ path: 'small', parent: group });
  gitlab.forgetRequests();
});

const START = Date.parse('2026-11-20T03:17:00Z');
const list = (at = START, path = group.path) =>
  world.jobs.updateOrganizationRepositories({ group: path }, world.context(at));

/** What is known of the group's: path, and whether it is gone. */
async function known(): Promise<Record<string, 'there' | 'gone'>> {
  const rows = await world.db
    .selectFrom('repositories')
    .select(['path', 'gone_at', 'group_id'])
    .where(sql<boolean>`starts_with(path, ${group.path} || '/')`)
    .orderBy('gitlab_id')
    .execute();
  for (const { gone_at, group_id } of rows) expect(gone_at === null).toBe(group_id !== null);
  return Object.fromEntries(
    rows.map(({ path, gone_at }) => [path.slice(group.path.length + 1), gone_at === null ? 'there' : 'gone']),
  );
}

const record = () =>
  world.db
    .selectFrom('gitlab_groups')
    .select(['listed_at', 'listed', 'listing_changes'])
    .where('gitlab_id', '=', String(group.id))
    .executeTakeFirst();

describe("U8: a group's repositories", () => {
  test('are listed and kept, those of its subgroups too; what is new, changed and gone is told apart', async () => {
    const { gitlab } = world;
    const [kiln, oven, wheel] = ['kiln', 'oven', 'wheel'].map((path) => gitlab.addProject({ path, group }));
    gitlab.addProject({ path: 'tiny', group: below });
    gitlab.addProject({ path: 'above' });
    gitlab.addProject({ path: 'asleep', group, archived: true });
    expect(await list()).toMatchObject({ listed: 4, added: 4, changed: 0, gone: 0, destroyed: 0 });
    expect(await known()).toEqual({ kiln: 'there', oven: 'there', wheel: 'there', 'small/tiny': 'there' });
    expect(await record()).toEqual({
      listed_at: new Date(START),
      listed: 4,
      listing_changes: { added: 4, changed: 0, gone: 0 },
    });
    expect(gitlab.unknownParameters).toEqual([]);

    gitlab.deleteProject(kiln!);
    gitlab.moveProject(oven!, `${below.path}/stove`);
    gitlab.moveProject(wheel!, `${gitlab.root.path}/wheel-${count}`);
    gitlab.addProject({ path: 'shelf', group });
    const later = START + 24 * HOUR;
    expect(await list(later)).toMatchObject({ listed: 3, added: 1, changed: 1, gone: 2 });
    expect(await known()).toEqual({ kiln: 'gone', 'small/stove': 'there', 'small/tiny': 'there', shelf: 'there' });
    expect(await findRepositoryByPath(world.db, wheel!.path)).toMatchObject({ gitlabId: wheel!.id, groupId: null });
    expect(await record()).toMatchObject({ listed: 3, listing_changes: { added: 1, changed: 1, gone: 2 } });

    expect(await list(later)).toMatchObject({ listed: 3, added: 0, changed: 0, gone: 0 }); // twice
    await Promise.all([list(later), list(later), list(later)]); // and several at once
    expect(await known()).toEqual({ kiln: 'gone', 'small/stove': 'there', 'small/tiny': 'there', shelf: 'there' });
    expect(await world.requested()).toEqual([]);
  });

  test.each([0, 1, 100, 101, 250])('are read from as many pages as there are: %i', async (many) => {
    world.gitlab.addProjects(many, group);
    expect(await list()).toMatchObject({ listed: many, added: many });
    expect(world.gitlab.requests).toHaveLength(1 + Math.max(1, Math.ceil(many / 100)));
  });

  test('may be asked for by the group’s id, and make no hook for a group that the installer does not see to', async () => {
    world.gitlab.addProject({ path: 'kiln', group });
    expect(await list(START, String(group.id))).toMatchObject({ listed: 1 });
    const { id } = await world.db
      .selectFrom('gitlab_groups')
      .select('id')
      .where('gitlab_id', '=', String(group.id))
      .executeTakeFirstOrThrow();
    expect(await findHookOfGroup(world.db, id)).toBeUndefined();
  });

  test('stay in the group that was listed before, where it is one of a group below', async () => {
    const { gitlab, db } = world;
    const { id } = gitlab.addProject({ path: 'tiny', group: below });
    await list();
    const groupOf = () =>
      db.selectFrom('repositories').select('group_id').where('gitlab_id', '=', String(id)).executeTakeFirstOrThrow();
    const before = await groupOf();
    expect(await list(START, below.path)).toMatchObject({ listed: 1, added: 0, gone: 0 });
    expect(await groupOf()).toEqual(before); // a group hook that covers it still does
  });

  test.each<[string, RegExp, Fault]>([
    ['the group', /^\/groups\/[^/]+\?/, { status: 500 }],
    ['the second page', /projects\?.*\bpage=2\b/, { status: 502 }],
    ['the second page, but half of it', /projects\?.*\bpage=2\b/, 'truncated'],
    ['the second page, broken off', /projects\?.*\bpage=2\b/, 'brokenOff'],
    ['the second page, but a login page', /projects\?.*\bpage=2\b/, 'html'],
    ['the second page, nor a connection', /projects\?.*\bpage=2\b/, 'reset'],
    ['an answer on what seems to be gone', /^\/projects\/\d+$/, { status: 503 }],
  ])('stay the last good list where GitLab does not give %s', async (_, path, fault) => {
    const { gitlab } = world;
    const projects = gitlab.addProjects(130, group);
    await list();
    const [before, recordBefore] = [await known(), await record()];
    gitlab.deleteProject(projects[7]!);
    gitlab.addProject({ path: 'new', group });
    gitlab.faults.add({ path, fault });
    await expect(list(START + HOUR)).rejects.toThrow();
    expect(await known()).toEqual(before);
    expect(await record()).toEqual(recordBefore);
    gitlab.faults.clear();
    gitlab.rateLimit.refuse({ at: 3, forSeconds: 5 });
    expect(await list(START + HOUR)).toHaveProperty('postponedUntil');
    expect(await known()).toEqual(before);
    expect(await record()).toEqual(recordBefore);
    gitlab.rateLimit.allow();
    await world.restart();
    expect(await list(START + HOUR)).toMatchObject({ listed: 130, added: 1, gone: 1 });
  });

  test('stay the last good list where GitLab hides the group', async () => {
    const { gitlab } = world;
    gitlab.addProjects(3, group);
    await list();
    const before = await known();
    gitlab.removeMember(gitlab.root, gitlab.bot);
    const failure = list(START + HOUR);
    await expect(failure).rejects.toMatchObject({
      nonRetryable: true,
      message: `GitLab has no group ${group.path}, or hides it from the token's account`,
    });
    gitlab.addMember(gitlab.root, gitlab.bot, 40);
    expect(await known()).toEqual(before);
  });

  test('lose none that a shifting list passes over, known or new', async () => {
    const { gitlab } = world;
    const projects = gitlab.addProjects(150, group);
    const shift = (gone: Project) => {
      const go = () => {
        gitlab.deleteProject(gone);
      };
      gitlab.faults.add({ path: /projects\?.*\bpage=2\b/, times: 1, fault: { do: go, when: 'before' } });
    };
    shift(projects[3]!); // nothing is known yet: the first of the second page moves to the first
    expect(await list()).toMatchObject({ listed: 149, added: 149, gone: 0 });
    shift(projects[4]!);
    expect(await list(START + HOUR)).toMatchObject({ listed: 148, gone: 1 });
    expect(Object.values(await known()).filter((state) => state === 'gone')).toHaveLength(1);
  });

  test('lose none that a list passes over which says nothing of its length', async () => {
    const { gitlab } = world;
    const projects = gitlab.addProjects(101, group);
    await list();
    const last = projects.at(-1)!;
    gitlab.faults.add({ path: /projects\?.*\bpage=2\b/, fault: { instead: '[]' } });
    expect(await list(START + HOUR)).toMatchObject({ listed: 101, gone: 0 });
    expect(gitlab.requests.some(({ path }) => path === `/projects/${last.id}`)).toBe(true);
  });

  test('of a run that is killed in the middle of writing stay the last good list, and the next one brings all of it', async () => {
    const { gitlab, db } = world;
    const [kiln] = gitlab.addProjects(3, group);
    await list();
    const before = await known();
    gitlab.deleteProject(kiln!);
    gitlab.addProject({ path: 'new', group });
    for (const table of ['repositories', 'gitlab_hooks', 'gitlab_groups']) {
      const mend = await breakOffAt(db, table);
      await expect(list(START + HOUR)).rejects.toThrow();
      await mend();
      expect(await known()).toEqual(before);
    }
    expect(await list(START + HOUR)).toMatchObject({ added: 1, gone: 1 });
  });
});

describe('U8, U2: a deletion that no event has told of', () => {
  test('is one when GitLab has said so on the second day, and not before', async () => {
    const { gitlab } = world;
    const { id, project } = await world.addTracked(gitlab.addProject({ path: 'kiln', group }));
    await world.addTracked(gitlab.addProject({ path: 'oven', group }));
    await list();
    gitlab.deleteProject(project);
    for (const hours of [1, 2, 12, 23]) {
      expect(await list(START + hours * HOUR)).toMatchObject({ destroyed: 0 });
      expect(await known()).toEqual({ kiln: 'gone', oven: 'there' });
    }
    expect(await world.requested()).toEqual([]);
    // By the daily run, which came a second earlier in the minute than the one that missed it first.
    expect(await list(START + 25 * HOUR - 1_000)).toMatchObject({ destroyed: 1, gone: 0 });
    expect(await world.requested()).toEqual([`destroyRepository/${id}`]);
  });

  test('is none where GitLab shows it again meanwhile: a right that was lost destroys nothing', async () => {
    const { gitlab } = world;
    const { project } = await world.addTracked(gitlab.addProject({ path: 'kiln', group }));
    await list();
    const fault = { status: 404, body: { message: '404 Project Not Found' } };
    const hide = () => {
      gitlab.changeProject(project, { archived: true }); // it is in no list then
      gitlab.faults.add({ path: new RegExp(`^/projects/${project.id}$`), fault });
    };
    hide();
    await list(START + HOUR);
    expect(await known()).toEqual({ kiln: 'gone' });
    gitlab.faults.clear();
    await list(START + 2 * HOUR);
    expect(await known()).toEqual({ kiln: 'there' }); // archived, and so not gone
    hide();
    await list(START + 26 * HOUR);
    expect(await world.requested()).toEqual([]);
    await list(START + 50 * HOUR);
    expect(await world.requested()).toHaveLength(1);
  });

  test('is seen also where the installer, which lists more often, has let it go before', async () => {
    const { gitlab, db } = world;
    const { id, project } = await world.addTracked(gitlab.addProject({ path: 'kiln', group }));
    await list();
    gitlab.deleteProject(project);
    await db.updateTable('repositories').set({ group_id: null }).where('id', '=', id).execute(); // `releaseUnseen`
    await list(START + HOUR);
    await list(START + 25 * HOUR);
    expect(await world.requested()).toEqual([`destroyRepository/${id}`]);
  });
});
