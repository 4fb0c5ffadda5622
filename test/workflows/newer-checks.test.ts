import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobDone } from '../../activities/job-context.ts';
import { findCommit, upsertCommit } from '../../src/database/commits.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { commandsWith } from '../checks/check-world.ts';
import { eventually } from '../support/eventually.ts';
import { MAIN } from '../support/git-project.ts';
import { untilEnded } from '../support/job-script.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';

const TOKEN = `3600.${BigInt(`0x${randomBytes(6).toString('hex')}`)}`;
const FOUND = JSON.stringify({
  version: '2.1.0',
  runs: [{ tool: { driver: { name: 'lint' } }, results: [{ message: { text: 'wrong' } }] }],
});

let environment: MergeEnvironment;
let folder: string;
let commitId: number;

/** Plugins are read anew for each check. */
const install = (command: string) =>
  writeFile(join(folder, 'plugins.yaml'), `version: 1\nplugins:\n  lint: { command: '${command}' }\n`);
const sleepers = async () => (await commandsWith(TOKEN)).filter((line) => line.startsWith('sleep '));
const checks = () =>
  environment.database.db.selectFrom('checks').selectAll().where('commit_id', '=', commitId).execute();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forgeflow-plugins-'));
  environment = await startMergeEnvironment({ settings: { CHECK_PLUGINS: join(folder, 'plugins.yaml') } });
  const { project, repository } = await environment.serve('shop');
  const manifest = 'version: 1\nchecks:\n  - plugin: lint\n';
  const [sha = ''] = await repository.commit({ ref: MAIN, tree: { '.forgeflow.yaml': manifest } });
  const { db } = environment.database;
  await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
  const { id: repositoryId } = (await findRepositoryByPath(db, project.path))!;
  await trackRepository(db, repositoryId);
  commitId = (await upsertCommit(db, { repositoryId, sha }))!.id;
});
afterAll(async () => {
  await environment.stop();
  await rm(folder, { recursive: true });
});

test('U4a: a newer run of a commit ends the older one and all that it has started, and its result alone counts', async () => {
  const { forgeflow, database, config } = environment;
  const jobOf = (id: number) => forgeflow.temporal.workflow.getHandle(`runCheck/check/${id}`);
  await install(`setsid sleep ${TOKEN} & sleep ${TOKEN}`);
  await forgeflow.enqueue('processCommit', { commitId });
  await eventually(async () => {
    expect(await sleepers()).toHaveLength(2);
  });
  const [older] = await checks();
  expect(older).toMatchObject({ plugin: 'lint', run: 1, state: 'running' });

  await install(`printf %s "$REPORT"; exit 1`.replace('$REPORT', FOUND.replaceAll('"', '\\"')));
  await forgeflow.enqueue('processCommit', { commitId });
  // Cancelled by whoever began the newer run; it would have seen by itself, too, that nobody wants it any more.
  expect(await untilEnded(jobOf(older!.id))).toMatch(/^(CANCELLED|COMPLETED)$/);
  expect(await sleepers()).toEqual([]);
  const newer = await eventually(async () => {
    const [only, ...others] = await checks();
    expect(others).toEqual([]);
    expect(only).toMatchObject({ run: 2, state: 'completed', problems: 1 });
    return only!;
  });
  expect(newer.id).not.toBe(older!.id);
  expect(await jobOf(newer.id).result()).toMatchObject({ problems: 1, attempts: 1 } satisfies Partial<JobDone>);
  expect(await findCommit(database.db, commitId)).toMatchObject({ checksState: 'failure', checksRun: 2 });
  expect(await readdir(join(config.storageDirectory, 'checks'))).toEqual([]);
});

test('U4a: it is on a task queue of its own', async () => {
  const [check] = await checks();
  const { events } = await environment.forgeflow.temporal.workflow
    .getHandle(`runCheck/check/${check!.id}`)
    .fetchHistory();
  const scheduled = events?.find((event) => event.activityTaskScheduledEventAttributes);
  expect(scheduled?.activityTaskScheduledEventAttributes?.taskQueue?.name).toBe('checks');
});
