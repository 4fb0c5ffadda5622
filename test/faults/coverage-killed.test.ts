import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { MAIN } from '../support/git-project.ts';
import { type KillableWorkers, startKillableWorkers } from '../support/killable-workers.ts';

const LCOV = 'SF:a.ts\nDA:1,1\nDA:2,0\nend_of_record\n';

let world: KillableWorkers;
let commitId: number;
let sha: string;

beforeAll(async () => {
  world = await startKillableWorkers();
  const { repository, repositoryId } = world;
  const { db } = world.database;
  [sha = ''] = await repository.commit({ ref: MAIN, tree: { 'a.ts': 'a\nb\n' } });
  const row = { repository_id: repositoryId, sha, state: 'completed' } as const;
  commitId = (await db.insertInto('commits').values(row).returning('id').executeTakeFirstOrThrow()).id;
  await db.insertInto('branches').values({ repository_id: repositoryId, name: 'main', head_sha: sha }).execute();
});
afterAll(() => world.stop());

const counts = async () => {
  const { rows } = await sql`
    select (select count(*)::int from commit_coverage) as commits, (select count(*)::int from coverage_files) as files,
      (select count(*)::int from coverage_history) as history,
      (select covered from branches where name = 'main') as covered, (select state from coverage_reports) as report
  `.execute(world.database.db);
  return rows[0];
};

test('U5: a worker is killed in the middle of what it writes: nothing of that is there, and another one does all of it once', async () => {
  const { forgeflow, database, repositoryId } = world;
  await world.startWorker();
  let killedAt = 0;
  await database.db.transaction().execute(async (transaction) => {
    // Its lines and files are written by then, and it waits for the branch.
    await transaction.selectFrom('branches').select('name').where('name', '=', 'main').forUpdate().execute();
    await forgeflow.coverage.submit({ repository: 'acme/shop', sha, report: LCOV });
    await eventually(async () => {
      const { rows } = await sql<{ query: string }>`
        select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      `.execute(database.db);
      expect(rows.map(({ query }) => query).join()).toContain('coverage_history');
    });
    await world.startWorker(); // it got nothing of what was under way
    world.processes[0]!.kill('SIGKILL');
    await world.processes[0]!.ended;
    killedAt = Date.now();
    expect(await counts()).toEqual({ commits: 0, files: 0, history: 0, covered: null, report: 'held' });
  });
  const jobId = `processCoverage/repo/${repositoryId}/${sha}`;
  expect(await forgeflow.temporal.workflow.getHandle(jobId).result()).toMatchObject({ attempts: 2 });
  console.log(JSON.stringify({ resumedAfterMs: Date.now() - killedAt }));
  expect(await counts()).toEqual({ commits: 1, files: 1, history: 1, covered: 1, report: 'processed' });
  const { rows } =
    await sql`select covered, total, description from commit_coverage where commit_id = ${commitId}`.execute(
      database.db,
    );
  expect(rows).toEqual([{ covered: 1, total: 2, description: '50% covered' }]);
}, 150_000);
