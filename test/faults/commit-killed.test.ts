import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { upsertCommit } from '../../src/database/commits.ts';
import { eventually } from '../support/eventually.ts';
import { fill, MAIN } from '../support/git-project.ts';
import { type KillableWorkers, startKillableWorkers } from '../support/killable-workers.ts';

const MANIFEST = 'version: 1\nchecks: [{ plugin: lint }, { plugin: spell }]\n';

let world: KillableWorkers;
let commitId: number;
let sha: string;

beforeAll(async () => {
  world = await startKillableWorkers();
  const { repository, repositoryId } = world;
  const made = await fill(repository);
  [sha = ''] = await repository.commit({ ref: MAIN, parents: [1], tree: { a: '12345', '.forgeflow.yaml': MANIFEST } });
  expect(made).toHaveLength(5);
  commitId = (await upsertCommit(world.database.db, { repositoryId, sha }))!.id;
});
afterAll(() => world.stop());

async function state() {
  const { rows } = await sql`
    select state, failure, checks_run as run,
      (select count(*)::int from checks where commit_id = commits.id) as checks,
      (select count(*)::int from checks where commit_id = commits.id and run = checks_run) as current,
      (select array_agg(name order by name) from branches) as branches
    from commits where id = ${commitId}
  `.execute(world.database.db);
  return rows[0];
}

test('U4: a worker is killed in the middle of the clone, the next in the middle of what it writes: the third does all of it once', async () => {
  const { forgeflow, database, server, repositoryId } = world;
  await world.startWorker();
  server.decide(({ method }) => (method === 'POST' ? { afterBytes: 100_000, then: 'stall' } : null));
  const { jobId } = await forgeflow.enqueue('processCommit', { commitId });
  await eventually(async () => {
    expect(await state()).toMatchObject({ state: 'in_progress', checks: 0, branches: null });
    expect(server.requests.some(({ method }) => method === 'POST')).toBe(true);
  });
  await world.startWorker(); // it got nothing of what was under way
  server.decide(() => null);
  await database.db.transaction().execute(async (transaction) => {
    // The next one comes as far as its checks.
    await sql`lock table checks in share row exclusive mode`.execute(transaction);
    world.processes[0]!.kill('SIGKILL');
    await eventually(async () => {
      const { rows } = await sql<{ query: string }>`
        select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      `.execute(database.db);
      expect(rows.map(({ query }) => query).join()).toContain('"checks"');
    }, 60_000);
    await world.startWorker();
    world.processes[1]!.kill('SIGKILL');
    await world.processes[1]!.ended;
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
