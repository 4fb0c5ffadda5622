import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { breakOffAt } from '../support/broken-transaction.ts';
import { DEVELOPER, type Fault, GUEST, MAINTAINER, OWNER, type Project, REPORTER } from '../support/gitlab/index.ts';
import { type PeopleWorld, startPeopleWorld } from '../support/people-world.ts';

let world: PeopleWorld;
let project: Project;
let repositoryId: number;
let count = 0;
beforeAll(async () => {
  world = await startPeopleWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  const { gitlab, db } = world;
  gitlab.faults.clear();
  gitlab.rateLimit.allow();
  await world.restart();
  for (const { id } of await db.selectFrom('repositories').select('id').execute()) await untrackRepository(db, id);
  await db.deleteFrom('users').execute();
  ({ project, id: repositoryId } = await world.addTracked(`kiln-${++count}`));
  await world.requested();
  gitlab.forgetRequests();
});

const user = (name: string) => world.gitlab.addUser({ username: `${name}-${++count}` });
const read = () => world.jobs.updateRepositoryPermissions({ repositoryId }, world.context());
const readUser = (userId: number) => world.jobs.updateUserPermissions({ userId }, world.context());
/** Who may what, by GitLab's ids of users, without the bot; of one repository, or of all as `project user`. */
async function roles(id = repositoryId): Promise<Record<number, string>> {
  const rows = await world.db
    .selectFrom('permissions')
    .innerJoin('users', 'users.id', 'permissions.user_id')
    .select(['users.gitlab_id', 'role'])
    .where('repository_id', '=', id)
    .execute();
  const others = rows.filter(({ gitlab_id }) => Number(gitlab_id) !== world.gitlab.bot.id);
  return Object.fromEntries(others.map(({ gitlab_id, role }) => [Number(gitlab_id), role]));
}
const ourId = async (gitlabId: number): Promise<number> =>
  (await world.db.selectFrom('users').select('id').where('gitlab_id', '=', String(gitlabId)).executeTakeFirstOrThrow())
    .id;

describe('U9: the permissions in a repository', () => {
  test('are those of its members and of the groups above, each by the highest level; guests and blocked ones have none', async () => {
    const { gitlab } = world;
    const [ada, bob, eve, guest, blocked, invited] = ['ada', 'bob', 'eve', 'guest', 'blocked', 'invited'].map(user);
    gitlab.addMember(project, ada!, REPORTER);
    gitlab.addMember(gitlab.root, ada!, MAINTAINER); // inherited, and higher
    gitlab.addMember(gitlab.root, bob!, DEVELOPER);
    gitlab.addMember(project, eve!, OWNER);
    gitlab.addMember(project, guest!, GUEST);
    gitlab.addMember(project, blocked!, OWNER);
    gitlab.blockUser(blocked!);
    const others = gitlab.addGroup({ path: `others-${++count}`, parent: null });
    gitlab.addMember(others, invited!, OWNER);
    gitlab.share(project, others, REPORTER);
    expect(await read()).toMatchObject({ users: 5, added: 5, changed: 0, removed: 0 });
    expect(await roles()).toEqual({
      [ada!.id]: 'maintainer',
      [bob!.id]: 'developer',
      [eve!.id]: 'owner',
      [invited!.id]: 'reader',
    });
    expect(gitlab.unknownParameters).toEqual([]);
    // Whoever is new is asked after for their emails; guests and blocked ones are not met at all.
    const asked = await Promise.all([gitlab.bot, ada!, bob!, eve!, invited!].map(({ id }) => ourId(id)));
    expect((await world.requested()).sort()).toEqual(asked.map((id) => `updateCommitsAuthor/${id}`).sort());

    gitlab.addMember(project, eve!, DEVELOPER);
    gitlab.removeMember(gitlab.root, bob!);
    gitlab.blockUser(ada!);
    gitlab.blockUser(blocked!, false);
    expect(await read()).toMatchObject({ added: 1, changed: 1, removed: 2 });
    const now = { [eve!.id]: 'developer', [blocked!.id]: 'owner', [invited!.id]: 'reader' };
    expect(await roles()).toEqual(now);

    expect(await read()).toMatchObject({ added: 0, changed: 0, removed: 0 }); // twice
    expect(await roles()).toEqual(now);
    await Promise.all([read(), read(), read()]); // and several at once
    expect(await roles()).toEqual(now);
    for (const one of [ada!, bob!, eve!]) gitlab.removeMember(gitlab.root, one);
  });

  test.each([0, 98, 99, 250])(
    'are read from as many pages as there are: %i members besides the bot and its owner',
    async (many) => {
      const { gitlab } = world;
      const members = Array.from({ length: many }, () => user('member'));
      for (const one of members) gitlab.addMember(project, one, DEVELOPER);
      gitlab.addMember(project, user('owner'), OWNER);
      await read();
      expect(Object.keys(await roles())).toHaveLength(many + 1);
      expect(gitlab.requests).toHaveLength(Math.max(1, Math.ceil((many + 2) / 100)));
    },
  );

  test('lose nobody whom a shifting list has passed over', async () => {
    const { gitlab } = world;
    const members = Array.from({ length: 150 }, () => user('member'));
    for (const one of members) gitlab.addMember(project, one, DEVELOPER);
    await read();
    // One of the first page goes while the second is asked for, so that the first of the second moves to the first.
    const gone = members[3]!;
    const path = /members\/all\?.*\bpage=2\b/;
    const shift = () => {
      gitlab.removeMember(project, gone);
    };
    gitlab.faults.add({ path, fault: { do: shift, when: 'before' } });
    expect(await read()).toMatchObject({ removed: 0 }); // and the one that has gone was still listed
    expect(Object.keys(await roles())).toHaveLength(150);
    gitlab.faults.clear();
    expect(await read()).toMatchObject({ removed: 1 });
    expect(await roles()).not.toHaveProperty(String(gone.id));
  });

  test.each<[string, Fault]>([
    ['an error', { status: 500, body: { message: '500 Internal Server Error' } }],
    ['a proxy that has no GitLab', { status: 502 }],
    ['no connection', 'reset'],
    ['half a page', 'truncated'],
    ['a page broken off', 'brokenOff'],
    ['a login page', 'html'],
    ['another shape', { instead: '[{"id":1}]' }],
    ['an object', { instead: '{}' }],
  ])('stay as they are where the second page is %s', async (_, fault) => {
    const { gitlab } = world;
    const [first] = Array.from({ length: 120 }, () => {
      const one = user('member');
      gitlab.addMember(project, one, DEVELOPER);
      return one;
    });
    await read();
    const before = await roles();
    await world.requested();
    gitlab.removeMember(project, first!);
    gitlab.addMember(project, user('new'), OWNER);
    gitlab.faults.add({ path: /members\/all\?.*\bpage=2\b/, fault });
    await expect(read()).rejects.toThrow();
    expect(await roles()).toEqual(before);
    expect(await world.requested()).toEqual([]);
  });

  test('stay as they are where a proxy hides that there are more pages', async () => {
    const { gitlab } = world;
    for (let i = 0; i < 120; i++) gitlab.addMember(project, user('member'), DEVELOPER);
    await read();
    const first = Array.from({ length: 100 }, (_, id) => ({
      id: id + 1,
      username: `u${id}`,
      name: 'U',
      state: 'active',
      access_level: 30,
    }));
    gitlab.faults.add({ path: /members\/all\?/, fault: { instead: JSON.stringify(first) } });
    await expect(read()).rejects.toThrow('does not say whether there is another page');
    expect(Object.keys(await roles())).toHaveLength(120);
  });

  test('stay as they are where the rate limit is used up on the second page, and are read in full later', async () => {
    const { gitlab } = world;
    for (let i = 0; i < 120; i++) gitlab.addMember(project, user('member'), DEVELOPER);
    gitlab.rateLimit.refuse({ at: 2, forSeconds: 5 });
    expect(await read()).toMatchObject({ reason: "GitLab's rate limit is used up" });
    expect(await roles()).toEqual({});
    gitlab.rateLimit.allow();
    await world.restart();
    await read();
    expect(Object.keys(await roles())).toHaveLength(120);
  });

  test.each([404, 403])('stay as they are where GitLab hides the members: %i', async (status) => {
    const { gitlab } = world;
    const ada = user('ada');
    gitlab.addMember(project, ada, DEVELOPER);
    await read();
    gitlab.faults.add({ path: /members\/all/, fault: { status, body: { message: `${status} Not Found` } } });
    await expect(read()).rejects.toMatchObject({
      nonRetryable: true,
      message: `GitLab does not show the members of ${project.path} to the token's account`,
    });
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
  });

  test('of one that is killed in the middle of writing are as they were, and the next attempt brings all of it', async () => {
    const { gitlab, db } = world;
    const [ada, bob] = [user('ada'), user('bob')];
    gitlab.addMember(project, ada, DEVELOPER);
    await read();
    gitlab.removeMember(project, ada);
    gitlab.addMember(project, bob, OWNER);
    await world.requested();
    for (const table of ['users', 'permissions', 'repositories', 'job_requests']) {
      const mend = await breakOffAt(db, table);
      await expect(read()).rejects.toThrow();
      await mend();
      expect(await roles()).toEqual({ [ada.id]: 'developer' });
      expect(await world.requested()).toEqual([]);
    }
    await read();
    expect(await roles()).toEqual({ [bob.id]: 'owner' });
    expect(await world.requested()).toEqual([`updateCommitsAuthor/${await ourId(bob.id)}`]);
  });

  test('are not written where nobody waits for the attempt any more, nor where it is not tracked', async () => {
    const { gitlab, db } = world;
    gitlab.addMember(project, user('ada'), DEVELOPER);
    const broken = new AbortController();
    const giveUp = () => {
      broken.abort();
    };
    gitlab.faults.add({ path: /members\/all/, fault: { do: giveUp, when: 'after' } });
    const context = { signal: broken.signal, now: Date.now() };
    await expect(world.jobs.updateRepositoryPermissions({ repositoryId }, context)).rejects.toThrow();
    expect(await roles()).toEqual({});
    gitlab.faults.clear();
    // It is removed while GitLab is asked.
    gitlab.faults.add({
      path: /members\/all/,
      fault: { do: () => untrackRepository(db, repositoryId), when: 'before' },
    });
    await expect(read()).rejects.toMatchObject({ nonRetryable: true });
    expect(await db.selectFrom('permissions').selectAll().execute()).toEqual([]);
    expect(await db.selectFrom('users').selectAll().execute()).toEqual([]);
    await expect(read()).rejects.toThrow(`there is no tracked repository ${repositoryId}`);
  });
});

describe('U10: the permissions of a user', () => {
  test('are those in every repository that we track, and in no other', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    const other = await world.addTracked(`oven-${++count}`);
    const third = await world.addTracked(`wheel-${++count}`);
    const untracked = gitlab.addProject({ path: `shelf-${++count}` });
    for (const one of [project, untracked]) gitlab.addMember(one, ada, DEVELOPER);
    gitlab.addMember(gitlab.root, ada, REPORTER);
    const userId = await world.meet(ada);
    expect(await readUser(userId)).toMatchObject({ added: 3, changed: 0, removed: 0, hidden: 0 });
    expect(gitlab.requests).toHaveLength(3);
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
    expect(await roles(other.id)).toEqual({ [ada.id]: 'reader' });

    gitlab.removeMember(gitlab.root, ada);
    gitlab.addMember(other.project, ada, OWNER);
    expect(await readUser(userId)).toMatchObject({ added: 0, changed: 1, removed: 1 });
    expect(await roles(other.id)).toEqual({ [ada.id]: 'owner' });
    expect(await roles(third.id)).toEqual({});
    await Promise.all([readUser(userId), readUser(userId)]);
    expect(await readUser(userId)).toMatchObject({ added: 0, changed: 0, removed: 0 });

    gitlab.blockUser(ada);
    expect(await readUser(userId)).toMatchObject({ removed: 2 });
    expect(await roles()).toEqual({});
  });

  test('stay as they are where one of the answers is none, and where a repository is hidden those in it', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    const other = await world.addTracked(`oven-${++count}`);
    for (const one of [project, other.project]) gitlab.addMember(one, ada, DEVELOPER);
    const userId = await world.meet(ada);
    await readUser(userId);
    for (const one of [project, other.project]) gitlab.addMember(one, ada, OWNER);
    const path = new RegExp(`/projects/${other.project.id}/members`);
    for (const fault of [{ status: 503 }, 'truncated', 'reset', 'html'] as const) {
      gitlab.faults.add({ path, fault });
      await expect(readUser(userId)).rejects.toThrow();
      gitlab.faults.clear();
    }
    gitlab.rateLimit.refuse({ at: 2, forSeconds: 5 });
    expect(await readUser(userId)).toHaveProperty('postponedUntil');
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
    expect(await roles(other.id)).toEqual({ [ada.id]: 'developer' });

    gitlab.rateLimit.allow();
    await world.restart();
    for (const one of [project, other.project]) gitlab.removeMember(one, ada);
    gitlab.deleteProject(other.project); // or hidden from us: GitLab does not say which
    expect(await readUser(userId)).toMatchObject({ removed: 1, hidden: 1 });
    expect(await roles()).toEqual({});
    expect(await roles(other.id)).toEqual({ [ada.id]: 'developer' });
  });

  test('all go with a user whom GitLab has no more', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    gitlab.addMember(project, ada, DEVELOPER);
    await read();
    const userId = await ourId(ada.id);
    gitlab.deleteUser(ada);
    expect(await readUser(userId)).toMatchObject({ removed: 1, hidden: 0 });
    expect(await roles()).toEqual({});
    await expect(readUser(userId + 1_000)).rejects.toMatchObject({ nonRetryable: true });
  });

  test('of one that is killed in the middle of writing are as they were', async () => {
    const { gitlab, db } = world;
    const ada = user('ada');
    gitlab.addMember(project, ada, DEVELOPER);
    const userId = await world.meet(ada);
    for (const table of ['permissions', 'users']) {
      const mend = await breakOffAt(db, table);
      await expect(readUser(userId)).rejects.toThrow();
      await mend();
      expect(await roles()).toEqual({});
    }
    await readUser(userId);
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
  });
});

describe('U9 and U10 at the same time', () => {
  test('where the list is old by the time that it is written, what was read of the user meanwhile stays, and it is read again', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    gitlab.addMember(project, ada, DEVELOPER);
    const userId = await world.meet(ada);
    const meanwhile = gitlab.faults.add({
      path: /members\/all\?/,
      times: 1,
      fault: {
        async do() {
          gitlab.removeMember(project, ada);
          await readUser(userId);
        },
        when: 'after',
      },
    });
    await read(); // it was given the list with her in it
    expect(meanwhile.hits).toBe(1);
    expect(await roles()).toEqual({});
    expect(await world.requested()).toContain(`updateRepositoryPermissions/${repositoryId}`);
    await read();
    expect(await roles()).toEqual({});
    expect(await world.requested()).toEqual([]);
  });

  test('and the other way round', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    const userId = await world.meet(ada);
    const path = new RegExp(`members/all/${ada.id}`);
    gitlab.faults.add({
      path,
      times: 1,
      fault: {
        async do() {
          gitlab.addMember(project, ada, DEVELOPER);
          await read();
        },
        when: 'after',
      },
    });
    await readUser(userId); // it was told that she is no member
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
    expect(await world.requested()).toContain(`updateUserPermissions/${userId}`);
    await readUser(userId);
    expect(await roles()).toEqual({ [ada.id]: 'developer' });
    expect(await world.requested()).toEqual([]);
  });

  test('of an attempt that was given up and one in its place the end is that of the last look', async () => {
    const { gitlab } = world;
    const ada = user('ada');
    gitlab.addMember(project, ada, DEVELOPER);
    const path = /members\/all\?/;
    gitlab.faults.add({
      path,
      times: 1,
      fault: {
        async do() {
          gitlab.addMember(project, ada, OWNER);
          await read();
        },
        when: 'after',
      },
    });
    await read();
    expect(await roles()).toEqual({ [ada.id]: 'owner' });
    expect(await world.requested()).toContain(`updateRepositoryPermissions/${repositoryId}`);
  });
});
