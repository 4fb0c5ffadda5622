import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { expect } from 'vitest';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { requestJobs } from '../../src/database/job-requests.ts';

/** How many rows there are in each table. */
export async function countRows(db: ForgeflowDatabase): Promise<Record<string, number>> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' order by 1
  `.execute(db);
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(name)}`.execute(db);
    counts[name] = rows[0]!.n;
  }
  return counts;
}

/** The tables whose rows belong to a repository, or to something that does. */
export async function tablesOfRepositories(db: ForgeflowDatabase): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    with recursive belonging as (
      select 'repositories'::regclass::oid as id
      union
      select conrelid from pg_constraint join belonging on confrelid = belonging.id where contype = 'f'
    )
    select id::regclass::text as name from belonging order by 1
  `.execute(db);
  return rows.map(({ name }) => name);
}

/** Puts something of a repository that is tracked into every table that can have it, and requests of all kinds of its jobs. */
export async function fillRepository(db: ForgeflowDatabase, id: number): Promise<void> {
  const before = await countRows(db);
  const insert = async (table: string, row: Record<string, unknown>): Promise<number> => {
    const { rows } = await sql<{ id: number }>`
      insert into ${sql.table(table)} (${sql.join(Object.keys(row).map((name) => sql.ref(name)))})
      values (${sql.join(Object.values(row))}) returning *
    `.execute(db);
    return rows[0]!.id;
  };
  const gitlabId = id * 1_000 + 1;
  const user = await insert('users', { gitlab_id: gitlabId, username: `user-${id}`, name: 'A user' });
  await insert('permissions', { repository_id: id, user_id: user, role: 'developer' });
  const mergeRequest = await insert('merge_requests', {
    ...{ repository_id: id, gitlab_id: gitlabId, iid: 1, title: 'One', source_branch: 'topic', target_branch: 'main' },
    ...{ is_draft: false, state: 'opened' },
  });
  const sha = randomBytes(20).toString('hex');
  const commit = await insert('commits', { repository_id: id, sha, state: 'completed', author_id: user });
  await insert('branches', { repository_id: id, name: 'main', head_sha: sha });
  await insert('commit_statuses', { commit_id: commit, name: 'forgeflow', state: 'success', description: 'No issues' });
  const check = await insert('checks', { commit_id: commit, run: 1, plugin: 'lint' });
  await insert('problems', { check_id: check, number: 1, level: 'error', message: 'a problem' });
  await insert('secrets', { repository_id: id, name: 'TOKEN', value_sealed: randomBytes(8) });
  const content = randomBytes(8);
  const report = await insert('coverage_reports', { repository_id: id, sha, content, size_bytes: 8 });
  const lines = { covered: 1, total: 2 };
  await insert('commit_coverage', {
    ...{ commit_id: commit, format: 'lcov', ...lines, excluded_files: 0, is_enough: true, description: '50%' },
    report_id: report,
  });
  await insert('coverage_files', { commit_id: commit, number: 1, path: 'a.ts', ...lines });
  await insert('coverage_history', { repository_id: id, branch: 'main', commit_id: commit, ...lines });
  await insert('search_indexes', {
    repository_id: id,
    format: 1,
    indexed_at: new Date(),
    files: 1,
    truncated: false,
    next_file: 2,
    stale_files: 0,
  });
  await insert('search_files', {
    ...{ repository_id: id, number: 1, path_key: Buffer.from('a.ts'), path: 'a.ts', kind: 'file' },
    object_id: randomBytes(20),
  });
  await insert('search_words', {
    ...{ repository_id: id, segment: 1, number: 1, kind: 'long', words: 'a', files: Buffer.alloc(1) },
  });
  await requestJobs(db, [
    { kind: 'reindex_search', payload: { repositoryId: id } },
    { kind: 'recompute_mergeability', payload: { mergeRequestId: mergeRequest } },
    { kind: 'processCommit', payload: { commitId: commit } },
    { kind: 'runCheck', payload: { checkId: check } },
    { kind: 'processCoverage', payload: { repositoryId: id, sha, report } },
  ]);
  const after = await countRows(db);
  const belonging = await tablesOfRepositories(db);
  const untouched = belonging.filter((table) => !['repositories', 'gitlab_hooks'].includes(table));
  expect(untouched.filter((table) => after[table] === before[table])).toEqual([]);
}
