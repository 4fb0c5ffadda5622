import { afterAll, beforeAll, expect, test } from 'vitest';
import { syncSchedules, UPKEEP_SCHEDULE } from '../../src/temporal/schedules.ts';
import type { requestUpkeep } from '../../workflows/request-upkeep.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { DEVELOPER, type Gitlab, MAINTAINER, type Project, startGitlab, type User } from '../support/gitlab/index.ts';
import { freePort } from '../../src/free-port.ts';
import { listenAsIngress } from '../support/gitlab-hook-world.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';

let gitlab: Gitlab;
let environment: Environment;
let project: Project;
let repositoryId: number;
let ada: User;
const stops: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  gitlab = await startGitlab({ settings: { premium: true } });
  const port = await freePort();
  const root = gitlab.addUser({ username: 'root', admin: true });
  environment = await startEnvironment({
    intervals: { poll: 100 },
    settings: {
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.addToken(root).value,
      GITLAB_GROUP: gitlab.root.path,
      INGRESS_URL: `http://127.0.0.1:${port}`,
    },
  });
  const ingress = await listenAsIngress(environment.database.db, port);
  stops.push(() => ingress.stop());
  await syncSchedules(environment.forgeflow.temporal, environment.config);
  ada = gitlab.addUser({ username: 'ada' });
  gitlab.changeUser(ada, { emails: [{ email: 'ada@example.com', confirmedAt: '2026-01-02T03:04:05.000Z' }] });
  project = gitlab.addProject({ path: 'kiln' });
  const { db } = environment.database;
  await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
  ({ id: repositoryId } = await db.selectFrom('repositories').select('id').executeTakeFirstOrThrow());
  await trackRepository(db, repositoryId);
  await environment.forgeflow.installWebhooks();
});
afterAll(async () => {
  for (const stop of stops) await stop();
  await environment.stop();
  await gitlab.close();
});

const roles = async () =>
  Object.fromEntries(
    (
      await environment.database.db
        .selectFrom('permissions')
        .innerJoin('users', 'users.id', 'permissions.user_id')
        .select(['username', 'role'])
        .execute()
    ).map(({ username, role }) => [username, role]),
  );

/** The workflow of the schedule's next run, which is now. */
async function runUpkeep() {
  const { temporal } = environment.forgeflow;
  const schedule = temporal.schedule.getHandle(UPKEEP_SCHEDULE);
  const before = (await schedule.describe()).info.numActionsTaken;
  await schedule.trigger();
  return eventually(async () => {
    const { numActionsTaken, recentActions } = (await schedule.describe()).info;
    expect(numActionsTaken).toBe(before + 1);
    return temporal.workflow.getHandle<typeof requestUpkeep>(recentActions.at(-1)!.action.workflow.workflowId);
  });
}

test('U10: what GitLab tells of a member of a group comes to be what they may do', async () => {
  expect(await gitlab.join(gitlab.root, ada, DEVELOPER)).toMatchObject([{ status: 202 }]);
  await eventually(async () => {
    expect(await roles()).toEqual({ ada: 'developer' });
  });
  await eventually(async () => {
    const [email] = await environment.database.db.selectFrom('user_emails').selectAll().execute();
    expect(email).toMatchObject({ email_key: 'ada@example.com' }); // U7: she is new
  });
});

test('U2, U8: a project that comes is listed, and of one that is deleted nothing is left', async () => {
  const { db } = environment.database;
  const paths = async () =>
    (await db.selectFrom('repositories').select('path').orderBy('path').execute()).map(({ path }) => path);
  const { project: wheel, told } = await gitlab.createProject({ path: 'wheel', group: gitlab.root });
  expect(told).toMatchObject([{ status: 202 }]);
  await eventually(async () => {
    expect(await paths()).toEqual(['acme/kiln', 'acme/wheel']);
  });
  expect(await gitlab.destroyProject(wheel)).toMatchObject([{ status: 202 }]);
  await eventually(async () => {
    expect(await paths()).toEqual(['acme/kiln']);
  });
});

test('U7, U8, U9, U10: what no event has told of, the daily run finds', async () => {
  const { db } = environment.database;
  gitlab.addMember(gitlab.root, ada, MAINTAINER);
  gitlab.changeUser(ada, { emails: [{ email: 'ada@example.org', confirmedAt: '2026-01-02T03:04:05.000Z' }] });
  gitlab.addProject({ path: 'oven' });
  await db
    .updateTable('users')
    .set({ emails_read_at: new Date(Date.now() - 86_400_000) })
    .execute();
  const handle = await runUpkeep();
  expect(await handle.result()).toEqual({ listings: 1, repositories: 1, authors: 1, users: 1 });
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  expect(currentDetails).toContain('listings **1**');
  await eventually(async () => {
    expect(await roles()).toEqual({ ada: 'maintainer', 'forgeflow-bot': 'maintainer' });
    const emails = await db.selectFrom('user_emails').select('email_key').execute();
    expect(emails).toEqual([{ email_key: 'ada@example.org' }]);
    const paths = await db.selectFrom('repositories').select('path').orderBy('path').execute();
    expect(paths.map(({ path }) => path)).toEqual(['acme/kiln', 'acme/oven']);
  });
  // Who was looked at today is not looked at again for emails; the bot, who has just been met, was.
  await eventually(async () => {
    const unread = await db.selectFrom('users').select('id').where('emails_read_at', 'is', null).execute();
    expect(unread).toEqual([]);
  });
  expect(await (await runUpkeep()).result()).toEqual({ listings: 1, repositories: 1, authors: 0, users: 2 });
  const jobs = await environment.forgeflow.jobs.dead({});
  expect(jobs).toEqual([]);
});
