import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { upsertCommit } from '../../src/database/commits.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { fill, MAIN } from '../support/git-project.ts';
import { createRepository, temporaryFolder } from '../support/git-repository.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const TOKEN = 'glpat-of-this-test-s3cret';
const MANIFEST = 'version: 1\nchecks: [{ plugin: lint }, { plugin: spell }]\n';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: GitServer;
let environment: Environment;
let repositoryId: number;
let commitId: number;
let sha: string;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  const repository = await createRepository(join(folder.path, 'server', 'acme', 'shop.git'));
  const made = await fill(repository);
  [sha = ''] = await repository.commit({ ref: MAIN, parents: [1], tree: { a: '12345', '.forgeflow.yaml': MANIFEST } });
  expect(made).toHaveLength(5);
  server = await startGitServer({ root: join(folder.path, 'server') });
  server.require(TOKEN);
  environment = await startEnvironment({
    withoutWorkers: true,
    settings: { GITLAB_URL: server.url, GITLAB_TOKEN: TOKEN },
  });
  const { db } = environment.database;
  await upsertRepositories(db, [{ gitlabId: 7, path: 'acme/shop' }], { groupId: null, at: new Date() });
  repositoryId = (await findRepositoryByPath(db, 'acme/shop'))!.id;
  await trackRepository(db, repositoryId);
  commitId = (await upsertCommit(db, { repositoryId, sha }))!.id;
});
afterAll(async () => {
  for (const worker of workers) {
    worker.kill('SIGKILL');
    await worker.ended;
  }
  await environment.stop();
  await server.close();
  await folder.remove();
});

async function state() {
  const { rows } = await sql`
    select state, failure, checks_run as run,
      (select count(*)::int from checks where commit_id = commits.id) as checks,
      (select count(*)::int from checks where commit_id = commits.id and run = checks_run) as current,
      (select array_agg(name order by name) from branches) as branches
    from commits where id = ${commitId}
  `.execute(environment.database.db);
  return rows[0];
}

test('U4: a worker is killed in the middle of the clone, the next in the middle of what it writes: the third does all of it once', async () => {
  const { forgeflow, variables, database } = environment;
  workers.push(await startWorkerProcess(variables));
  server.decide(({ method }) => (method === 'POST' ? { afterBytes: 100_000, then: 'stall' } : null));
  const { jobId } = await forgeflow.enqueue('processCommit', { commitId });
  await eventually(async () => {
    expect(await state()).toMatchObject({ state: 'in_progress', checks: 0, branches: null });
    expect(server.requests.some(({ method }) => method === 'POST')).toBe(true);
  });
  workers.push(await startWorkerProcess(variables)); // it got nothing of what was under way
  server.decide(() => null);
  await database.db.transaction().execute(async (transaction) => {
    // The next one comes as far as its checks.
    await sql`lock table checks in share row exclusive mode`.execute(transaction);
    workers[0]!.kill('SIGKILL');
    await eventually(async () => {
      const { rows } = await sql<{ query: string }>`
        select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      `.execute(database.db);
      expect(rows.map(({ query }) => query).join()).toContain('"checks"');
    }, 60_000);
    workers.push(await startWorkerProcess(variables));
    workers[1]!.kill('SIGKILL');
    await workers[1]!.ended;
    expect(await state()).toMatchObject({ state: 'in_progress', checks: 0, branches: ['main', 'topic/one'] });
  });
  const outcome: unknown = await forgeflow.temporal.workflow.getHandle(jobId).result();
  expect(outcome).toMatchObject({ summary: '2 checks begun', attempts: 3 });
  const wanted = { state: 'completed', failure: null, run: 1, checks: 2, current: 2, branches: ['main', 'topic/one'] };
  expect(await state()).toEqual(wanted);

  // And once more, it is the same but for the number of the run.
  await forgeflow.enqueue('processCommit', { commitId });
  await eventually(async () => {
    expect(await state()).toEqual({ ...wanted, run: 2 });
  });
  const size = database.db.selectFrom('repositories').select('commits_size').where('id', '=', repositoryId);
  await eventually(async () => {
    expect(await size.executeTakeFirst()).toEqual({ commits_size: String(5 + MANIFEST.length) });
  });
}, 200_000);
