import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Commit, CommitDetails } from '../../src/client/commits.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

const SHA = '0150dd59ed'.repeat(4);
const OLDER = 'c0ffee00'.repeat(5);

let database: TestDatabase;
let env: Record<string, string>;
beforeAll(async () => {
  database = await cloneDatabase();
  env = { DATABASE_URL: database.url, SECRETS_KEY: randomBytes(32).toString('base64') };
  await sql`
    insert into repositories (gitlab_id, path, last_seen_at, tracked_at, default_branch) values (1101, 'acme/kiln', now(), now(), 'main');
    insert into users (gitlab_id, username, name) values (7, 'ada', 'Ada');
    insert into commits (repository_id, sha) values (1, ${sql.lit(OLDER)});
    insert into commits (repository_id, sha, state, author_name, author_id, authored_at, title, size_bytes, checks_state)
      values (1, ${sql.lit(SHA)}, 'completed', 'Ada', 1, now() - interval '1 hour', 'Fire the kiln', 2048, 'failure');
    insert into branches (repository_id, name, head_sha, covered, total, coverage_sha)
      values (1, 'main', ${sql.lit(SHA)}, 9429, 10000, ${sql.lit(SHA)});
    insert into checks (commit_id, run, plugin, state, problems, started_at, finished_at) values (2, 1, 'eslint', 'completed', 1, now(), now());
    insert into checks (commit_id, run, plugin, state, reason, printed) values (2, 1, 'spell', 'failed', 'was ended by SIGKILL', 'so far');
    insert into problems (check_id, number, path, line, rule_id, level, message) values (1, 1, 'src/kiln.ts', 3, 'no-fire', 'warning', 'too hot');
    insert into commit_coverage (commit_id, format, covered, total, min_percent, excluded_files, is_enough, description, report_id)
      values (2, 'lcov', 9429, 10000, 95, 1, false, '94.29% covered (at least 95% is required)', 1);
    insert into coverage_files (commit_id, number, path, covered, total) values (2, 1, 'a.ts', 9000, 9000), (2, 2, 'src/kiln.ts', 429, 1000);
  `.execute(database.db);
});
afterAll(() => database.drop());

test('U4 U5: commits list prints the newest first, with what checks and coverage say', async () => {
  const listed = await forgeflowJson<Commit[]>(['commits', 'list', 'acme/kiln'], env);
  expect(listed.map(({ sha }) => sha)).toEqual([SHA, OLDER]);
  expect(listed[0]).toMatchObject({
    repository: 'acme/kiln',
    state: 'completed',
    username: 'ada',
    branches: ['main'],
    checks: { state: 'failure', description: 'spell was ended by SIGKILL' },
    coverage: { percent: 94.29, minPercent: 95, isEnough: false },
  });
  expect(listed[1]).toMatchObject({ state: 'queued', checks: { description: 'waits to be cloned' }, coverage: null });
});

test('U4a U5: commits show prints checks, problems and files, for a part of the id too', async () => {
  const shown = await forgeflowJson<CommitDetails>(['commits', 'show', 'acme/kiln', SHA.slice(0, 8)], env);
  expect(shown).toMatchObject({
    sha: SHA,
    runs: [
      { plugin: 'eslint', state: 'completed', problems: 1 },
      { plugin: 'spell', state: 'failed', reason: 'was ended by SIGKILL', printed: 'so far' },
    ],
    problems: [{ plugin: 'eslint', path: 'src/kiln.ts', line: 3, column: null, ruleId: 'no-fire', level: 'warning' }],
    files: [{ path: 'src/kiln.ts', covered: 429, total: 1000 }, { path: 'a.ts' }],
  });
  expect(shown.runs[0]?.startedAt).toMatch(/^\d{4}-.*Z$/);
  const { stdout } = await forgeflow(['commits', 'show', 'acme/kiln', SHA], env);
  expect(stdout).toMatch(/^coverage +94\.29% covered \(at least 95% is required\)$/m);
  expect(stdout).toMatch(/^src\/kiln\.ts:3 +warning +eslint +no-fire +too hot$/m);
  expect(stdout).toMatch(/^src\/kiln\.ts +42\.9% +429 of 1000$/m);
});

test('U4: repositories show has the branches, with the words of the commit statuses', async () => {
  const { stdout } = await forgeflow(['repositories', 'show', 'acme/kiln'], env);
  expect(stdout).toMatch(/^checks +failure: spell was ended by SIGKILL$/m);
  expect(stdout).toMatch(/^coverage +94\.29% of 0150dd59ed \(9429 of 10000 lines\)$/m);
  expect(stdout).toMatch(/^members +not read yet$/m);
  expect(stdout).toMatch(/^main +0150dd59ed +Fire the kiln +@ada +failure: spell was ended by SIGKILL +94\.29%$/m);
});

test.each([
  [['commits', 'list', 'acme/other'], 3, /no repository "acme\/other" is tracked/],
  [['commits', 'show', 'acme/kiln', 'beef'], 3, /there is no commit beef/],
  [['commits', 'show', 'acme/kiln', 'xyz'], 2, /^error: sha: it is not the id of a commit/m],
  [['commits', 'list', 'acme/kiln', '--limit', '0'], 2, /^error: limit: it is a whole number from 1 to 1000/m],
])('bad input: %j gets one sentence', async (args, exitCode, sentence) => {
  const result = await forgeflow(args, env);
  expect(result.exitCode).toBe(exitCode);
  expect(result.stderr).toMatch(sentence);
});
