import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobDone } from '../../activities/job-context.ts';
import { beginChecks } from '../../src/database/commit-progress.ts';
import { findCommit, upsertCommit } from '../../src/database/commits.ts';
import { commandsWith, SARIF } from '../checks/check-world.ts';
import { eventually } from '../support/eventually.ts';
import { MAIN } from '../support/git-project.ts';
import { type KillableWorkers, startKillableWorkers } from '../support/killable-workers.ts';

const TOKEN = `3600.${BigInt(`0x${randomBytes(6).toString('hex')}`)}`;

let plugins: string;
let world: KillableWorkers;
let commitId: number;
let checkId: number;

/** Plugins are read anew for each check. */
const install = (command: string) =>
  writeFile(join(plugins, 'plugins.yaml'), `version: 1\nplugins:\n  lint: { command: '${command}' }\n`);

beforeAll(async () => {
  plugins = await mkdtemp(join(tmpdir(), 'forgeflow-plugins-'));
  world = await startKillableWorkers({ CHECK_PLUGINS: join(plugins, 'plugins.yaml') });
  const { repository, repositoryId } = world;
  const { db } = world.database;
  const tree = { '.forgeflow.yaml': 'version: 1\nchecks:\n  - plugin: lint\n', 'found.sarif': SARIF };
  const [sha = ''] = await repository.commit({ ref: MAIN, tree });
  commitId = (await upsertCommit(db, { repositoryId, sha }))!.id;
  checkId = (await db.transaction().execute((transaction) => beginChecks(transaction, commitId, ['lint']))).ids[0]!;
});
afterAll(async () => {
  await world.stop();
  await rm(plugins, { recursive: true });
});

const sleepers = async () => (await commandsWith(TOKEN)).filter((line) => line.startsWith('sleep '));
const runs = () => readdir(join(world.config.storageDirectory, 'checks'));

test('U4a: a worker is killed in the middle of a check: the plugin ends with it, another worker does it, nothing is left', async () => {
  const { forgeflow, database } = world;
  await install(`trap "" TERM; sleep ${TOKEN} & sleep ${TOKEN}`);
  await world.startWorker();
  const { jobId } = await forgeflow.enqueue('runCheck', { checkId });
  await eventually(async () => {
    expect(await sleepers()).toHaveLength(2);
  });
  expect(await runs()).toHaveLength(1);
  await world.startWorker(); // it got nothing of what was under way
  await install('cat found.sarif; exit 1');
  const killedAt = Date.now();
  world.processes[0]!.kill('SIGKILL');
  await world.processes[0]!.ended;
  await eventually(async () => {
    expect(await sleepers()).toEqual([]);
  });
  const check = database.db.selectFrom('checks').selectAll().where('id', '=', checkId);
  expect(await check.executeTakeFirst()).toMatchObject({ state: 'running' });

  const outcome = (await forgeflow.temporal.workflow.getHandle(jobId).result()) as JobDone;
  console.log(JSON.stringify({ resumedAfterMs: Date.now() - killedAt }));
  expect(Date.now() - killedAt).toBeLessThan(60_000);
  expect(outcome).toMatchObject({ state: 'completed', problems: 1, attempts: 2 });
  expect(await check.executeTakeFirst()).toMatchObject({ state: 'completed', problems: 1, reason: null });
  expect(await database.db.selectFrom('problems').selectAll().execute()).toMatchObject([
    { check_id: checkId, number: 1, rule_id: 'r', message: 'wrong' },
  ]);
  expect(await findCommit(database.db, commitId)).toMatchObject({ checksState: 'failure' });
  expect(await runs()).toEqual([]);

  // Asked for once more, it stays as it is.
  await forgeflow.enqueue('runCheck', { checkId });
  expect(await forgeflow.temporal.workflow.getHandle(jobId).result()).toMatchObject({
    summary: expect.stringMatching(/^lint at acme\/shop@[0-9a-f]{8} is done already$/) as string,
  });
}, 150_000);
