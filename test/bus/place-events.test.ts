import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { upsertGroup } from '../../src/database/gitlab-groups.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { upsertUsers } from '../../src/database/users.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type Payload, readEvents, storeEvents } from '../support/merge-events.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const TRACKED = 15;
const LISTED = 16;
const UNKNOWN = 17;
const ADA = 41;

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
  await upsertGroup(database.db, { gitlabId: 3, path: 'clay' });
  await upsertGroup(database.db, { gitlabId: 4, path: 'clay/small' });
});
afterAll(() => database.drop());
let trackedId: number;
let listedId: number;
beforeEach(async () => {
  const { db } = database;
  for (const table of ['events', 'job_requests', 'users', 'repositories'])
    await sql`delete from ${sql.table(table)}`.execute(db);
  const seen = [
    { gitlabId: TRACKED, path: 'clay/kiln' },
    { gitlabId: LISTED, path: 'clay/oven' },
  ];
  await upsertRepositories(db, seen, { groupId: null, at: new Date() });
  trackedId = (await findRepositoryByPath(db, 'clay/kiln'))!.id;
  listedId = (await findRepositoryByPath(db, 'clay/oven'))!.id;
  await trackRepository(db, trackedId);
});

/** As the documentation has them: what a group's hook sends of members and projects, and system hooks of the rest. */
const member = (event: string, given: Payload = {}): Payload => ({
  created_at: '2026-11-21T07:30:56Z',
  updated_at: '2026-11-21T07:38:22Z',
  group_name: 'Clay',
  group_path: 'clay',
  group_id: 3,
  user_username: 'ada',
  user_name: 'Ada Potter',
  user_email: 'ada@example.com',
  user_id: ADA,
  group_access: 'Developer',
  group_plan: null,
  expires_at: null,
  event_name: event,
  ...given,
});
const project = (event: string, id: number, path: string, given: Payload = {}): Payload => ({
  event_name: event,
  created_at: '2026-11-21T10:43:48Z',
  updated_at: '2026-11-21T10:43:48Z',
  name: 'Kiln',
  path: path.slice(path.lastIndexOf('/') + 1),
  path_with_namespace: path,
  project_id: id,
  project_namespace_id: 32,
  owners: [{ name: 'Ada Potter', email: 'ada@example.com' }],
  project_visibility: 'private',
  ...given,
});
const team = (event: string, id: number): Payload => ({
  event_name: event,
  access_level: 'Maintainer',
  project_id: id,
  project_name: 'Kiln',
  project_path: 'kiln',
  project_path_with_namespace: 'clay/kiln',
  user_email: 'ada@example.com',
  user_name: 'Ada Potter',
  user_username: 'ada',
  user_id: ADA,
  project_visibility: 'private',
});
const subgroup = (event: string): Payload => ({
  event_name: event,
  name: 'tiny',
  path: 'tiny',
  full_path: 'clay/small/tiny',
  group_id: 10,
  parent_group_id: 4,
  parent_full_path: 'clay/small',
});
const person = (event: string, given: Payload = {}): Payload => ({
  event_name: event,
  email: 'ada@example.com',
  name: 'Ada Potter',
  username: 'ada',
  user_id: ADA,
  ...given,
});

/** Stores the events, and reads them as a relay does. @returns `kind/subject` of the jobs that they call for */
async function jobsAfter(...payloads: Payload[]): Promise<string[]> {
  const { logger, messages } = recordingLogger();
  await storeEvents(database.db, ...payloads);
  expect(await readEvents(database.db, logger)).toBe(payloads.length);
  expect(messages('WARN', 'ERROR')).toEqual([]);
  const rows = await database.db.selectFrom('job_requests').select(['kind', 'payload']).orderBy('id').execute();
  return rows.map(({ kind, payload }) => `${kind}/${Object.values(payload).join()}`);
}

const users = () => database.db.selectFrom('users').select(['id', 'gitlab_id', 'username', 'name']).execute();

describe('U10: what a group tells of its members', () => {
  test.each(['user_add_to_group', 'user_update_for_group', 'user_remove_from_group'])(
    '%s: the user’s permissions are read; one that is new is kept, and asked after for emails too (U7)',
    async (event) => {
      const first = await jobsAfter(member(event));
      const [ada] = await users();
      expect(ada).toMatchObject({ gitlab_id: String(ADA), username: 'ada', name: 'Ada Potter' });
      expect(first).toEqual([`updateCommitsAuthor/${ada!.id}`, `updateUserPermissions/${ada!.id}`]);

      const again = await jobsAfter(member(event, { user_username: 'ada2', user_name: null }));
      expect(again.slice(2)).toEqual([`updateUserPermissions/${ada!.id}`]);
      expect(await users()).toMatchObject([{ id: ada!.id, username: 'ada2', name: 'ada2' }]);
    },
  );
});

describe('U9: what GitLab tells of projects', () => {
  test.each(['user_add_to_team', 'user_update_for_team', 'user_remove_from_team'])(
    '%s: the permissions in a tracked repository are read',
    async (event) => {
      expect(await jobsAfter(team(event, LISTED), team(event, UNKNOWN), team(event, TRACKED))).toEqual([
        `updateRepositoryPermissions/${trackedId}`,
      ]);
      expect(await users()).toEqual([]);
    },
  );

  test.each(['project_rename', 'project_transfer'])(
    '%s: the new path is kept, and permissions and the group are read',
    async (event) => {
      const moved = project(event, TRACKED, 'Clay/small/kiln', { old_path_with_namespace: 'clay/kiln' });
      expect(await jobsAfter(moved)).toEqual([
        `updateRepositoryPermissions/${trackedId}`,
        'updateOrganizationRepositories/clay',
      ]);
      expect(await findRepositoryByPath(database.db, 'clay/small/kiln')).toMatchObject({ id: trackedId });
    },
  );

  test('project_update: permissions are read, for its visibility may be another one', async () => {
    expect(await jobsAfter(project('project_update', TRACKED, 'clay/kiln'))).toEqual([
      `updateRepositoryPermissions/${trackedId}`,
    ]);
    expect(await jobsAfter(project('project_update', UNKNOWN, 'other/kiln'))).toHaveLength(1);
    expect(await findRepositoryByPath(database.db, 'other/kiln')).toBeUndefined();
  });

  test('one that is merely listed has its new path kept', async () => {
    expect(await jobsAfter(project('project_transfer', LISTED, 'other/oven'))).toEqual([]);
    expect(await findRepositoryByPath(database.db, 'other/oven')).toMatchObject({ id: listedId });
  });
});

describe('U2, U8: what GitLab tells of projects that come and go', () => {
  test('project_destroy: all of the repository goes, be it tracked or merely listed', async () => {
    const gone = [TRACKED, LISTED, UNKNOWN].map((id) => project('project_destroy', id, 'clay/kiln'));
    expect(await jobsAfter(...gone)).toEqual([`destroyRepository/${trackedId}`, `destroyRepository/${listedId}`]);
  });

  test('project_create and subgroups: the group is listed that it is in, the one furthest up of those we know', async () => {
    const events = [project('project_create', UNKNOWN, 'clay/small/new'), subgroup('subgroup_destroy')];
    expect(await jobsAfter(...events)).toEqual(Array(2).fill('updateOrganizationRepositories/clay'));
    const elsewhere = [project('project_create', UNKNOWN, 'clayish/new'), project('project_create', UNKNOWN, 'new')];
    expect(await jobsAfter(...elsewhere)).toHaveLength(2); // none besides
  });
});

describe('U7: what a system hook tells of users', () => {
  test('user_create: who is new is asked after for emails', async () => {
    const jobs = await jobsAfter(person('user_create'));
    const [ada] = await users();
    expect(jobs).toEqual([`updateCommitsAuthor/${ada!.id}`]);
  });

  test('user_rename and user_destroy matter of those whom we know', async () => {
    expect(await jobsAfter(person('user_rename'), person('user_destroy'))).toEqual([]);
    expect(await users()).toEqual([]);
    const [ada] = await upsertUsers(database.db, [{ gitlabId: ADA, username: 'old', name: 'Old' }]);
    expect(await jobsAfter(person('user_rename', { old_username: 'old' }))).toEqual([]);
    expect(await users()).toMatchObject([{ username: 'ada', name: 'Ada Potter' }]);
    expect(await jobsAfter(person('user_destroy'))).toEqual([
      `updateUserPermissions/${ada!.id}`,
      `updateCommitsAuthor/${ada!.id}`,
    ]);
  });
});

test('events that are not as documented change nothing, are said to be, and keep no others', async () => {
  const { logger, lines } = recordingLogger();
  await storeEvents(
    database.db,
    member('user_add_to_group', { user_id: '41' }),
    member('user_add_to_group', { user_username: undefined }),
    project('project_destroy', 0, 'clay/kiln'),
    project('project_rename', TRACKED, ''),
    { event_name: 'user_add_to_team' },
    { event_name: 'project_create' },
    project('project_destroy', TRACKED, 'clay/kiln'),
  );
  expect(await readEvents(database.db, logger)).toBe(7);
  expect(JSON.stringify(lines)).toContain('user_id: it is not a number');
  expect(lines).toHaveLength(6);
  expect(await users()).toEqual([]);
  expect(await database.db.selectFrom('job_requests').select('kind').execute()).toEqual([
    { kind: 'destroyRepository' },
  ]);
});

test('the same events twice ask for the same jobs, which are one', async () => {
  const once = await jobsAfter(member('user_add_to_group'));
  const twice = await jobsAfter(member('user_add_to_group'));
  expect(new Set(twice)).toEqual(new Set(once));
});
