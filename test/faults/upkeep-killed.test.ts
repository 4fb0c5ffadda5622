import { afterAll, beforeAll, expect, test } from 'vitest';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { upsertUsers } from '../../src/database/users.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { DEVELOPER, type Gitlab, OWNER, startGitlab } from '../support/gitlab/index.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

let gitlab: Gitlab;
let environment: Environment;
const workers: WorkerProcess[] = [];
beforeAll(async () => {
  gitlab = await startGitlab();
  const root = gitlab.addUser({ username: 'root', admin: true });
  environment = await startEnvironment({
    withoutWorkers: true,
    settings: { GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.addToken(root).value },
  });
});
afterAll(async () => {
  for (const worker of workers) {
    worker.kill('SIGKILL');
    await worker.ended;
  }
  await environment.stop();
  await gitlab.close();
});

test('U7, U8, U9, U10: a worker is killed in the middle of each: another one does all of it, and nothing is half done', async () => {
  const { forgeflow, variables, database } = environment;
  const { db } = database;
  const users = ['ada', 'bob'].map((username) => gitlab.addUser({ username }));
  const projects = gitlab.addProjects(101);
  const [kiln, oven] = projects;
  const seen = [kiln!, oven!].map(({ id, path }) => ({ gitlabId: id, path }));
  await upsertRepositories(db, seen, { groupId: null, at: new Date() });
  const repositories = await db.selectFrom('repositories').select('id').orderBy('gitlab_id').execute();
  for (const { id } of repositories) await trackRepository(db, id);
  for (const user of users)
    gitlab.changeUser(user, { emails: [{ email: `${user.username}@a.org`, confirmedAt: 'now' }] });
  gitlab.addMember(kiln!, users[0]!, OWNER);
  gitlab.addMember(oven!, users[1]!, DEVELOPER);
  const [ada, bob] = await upsertUsers(
    db,
    users.map(({ id: gitlabId, username, name }) => ({ gitlabId, username, name })),
  );
  const known = async () => ({
    repositories: (await db.selectFrom('repositories').select('id').execute()).length,
    roles: await db.selectFrom('permissions').select(['user_id', 'role']).orderBy('user_id').execute(),
    emails: (await db.selectFrom('user_emails').select('email_key').execute()).map(({ email_key }) => email_key),
    groups: await db.selectFrom('gitlab_groups').select('listed').execute(),
  });
  const nothing = { repositories: 2, roles: [], emails: [], groups: [] };
  workers.push(await startWorkerProcess(variables));

  // The last question of each is never answered.
  const hung = [
    /members\/all\?/,
    new RegExp(`${oven!.id}/members/all/${bob!.gitlabId}$`),
    /emails/,
    /groups\/\d+\/projects.*\bpage=2\b/,
  ].map((path) => gitlab.faults.add({ path, fault: 'hang' }));
  await forgeflow.enqueue('updateRepositoryPermissions', { repositoryId: repositories[0]!.id });
  await forgeflow.enqueue('updateUserPermissions', { userId: bob!.id });
  await forgeflow.enqueue('updateCommitsAuthor', { userId: ada!.id });
  await forgeflow.enqueue('updateOrganizationRepositories', { group: 'acme' });
  await eventually(() => {
    expect(hung.map(({ hits }) => hits > 0)).toEqual([true, true, true, true]);
    return Promise.resolve();
  });
  workers[0]!.kill('SIGKILL');
  await workers[0]!.ended;
  expect(await known()).toEqual(nothing);
  gitlab.faults.clear();

  workers.push(await startWorkerProcess(variables));
  await eventually(async () => {
    expect(await known()).toEqual({
      repositories: 101,
      roles: expect.arrayContaining([
        { user_id: ada!.id, role: 'owner' },
        { user_id: bob!.id, role: 'developer' },
      ]) as unknown,
      emails: ['ada@a.org'],
      groups: [{ listed: 101 }],
    });
  }, 60_000);
}, 120_000);
