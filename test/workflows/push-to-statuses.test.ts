import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/services.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_ENVIRONMENT } from '../support/git-repository.ts';
import type { Project } from '../support/gitlab/index.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';
import { TODO_PLUGINS } from '../../scripts/demo/todo-plugin.ts';

const MANIFEST = `version: 1
coverage: { min_percent: 80, exclude_paths: [vendor] }
checks: [{ plugin: todo }]
`;

let environment: MergeEnvironment;
let project: Project;
let folder: string;
beforeAll(async () => {
  folder = temporaryDirectory('forgeflow-test-desk-');
  await writeFile(join(folder, 'plugins.yaml'), TODO_PLUGINS);
  environment = await startMergeEnvironment({
    settings: { CHECK_PLUGINS: join(folder, 'plugins.yaml'), CACHE: 'folder' },
  });
  ({ project } = await environment.serve('shop'));
});
afterAll(async () => {
  await environment.stop();
  await rm(folder, { recursive: true });
});

/** What a developer has on their own machine: a work tree, and GitLab's repository behind HTTP. */
async function startDesk() {
  const place = join(folder, 'desk');
  await mkdir(place);
  const url = new URL(`${environment.gitlab.url}/${project.path}.git`);
  Object.assign(url, { username: 'ada', password: environment.gitlab.token });
  const git = (...args: string[]) => execa('git', args, { cwd: place, env: TEST_ENVIRONMENT });
  await git('clone', '--quiet', url.href, '.');
  return {
    /** @returns the new commit, which GitLab does not have yet */
    async commit(files: Record<string, string>, message: string): Promise<string> {
      for (const [path, content] of Object.entries(files)) await writeFile(join(place, path), content);
      await git('add', '.');
      await git('commit', '--quiet', '--message', message);
      return (await git('rev-parse', 'HEAD')).stdout;
    },
    async push(): Promise<void> {
      await git('push', '--quiet', 'origin', 'main');
      await environment.gitlab.push(project, { branch: 'main' });
    },
  };
}

const shown = () => environment.forgeflow.repositories.show(project.path);

/** As GitLab has them, the last of each name. */
async function statusesOf(sha: string): Promise<Record<string, string>> {
  const { gitlab } = environment;
  const url = `${gitlab.url}/api/v4/projects/${project.id}/repository/commits/${sha}/statuses`;
  const answer = await fetch(url, { headers: { 'PRIVATE-TOKEN': gitlab.token } });
  const statuses = (await answer.json()) as { name: string; status: string; description: string }[];
  return Object.fromEntries(
    statuses.reverse().map(({ name, status, description }) => [name, `${status}: ${description}`]),
  );
}

const lcov = (hits: number[]): string =>
  `SF:kiln.js\n${hits.map((hit, at) => `DA:${at + 1},${hit}`).join('\n')}\nend_of_record\nSF:vendor/x.js\nDA:1,0\nend_of_record\n`;

async function sendCoverage(id: number, sha: string, token: string, report: string) {
  const url = `${environment.variables['INGRESS_URL'] ?? ''}/repositories/${id}/coverage?sha=${sha}`;
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: report });
  return { status: answer.status, body: (await answer.json()) as { state: string } };
}

/** In how many rows of which tables there is something of a repository. */
async function traces(id: number): Promise<Record<string, number>> {
  const { db } = environment.database;
  const { rows } = await sql<{ table: string }>`
    select table_name as table from information_schema.columns
    where table_schema = 'public' and column_name = 'repository_id'
  `.execute(db);
  const found: Record<string, number> = {};
  for (const { table, column } of [...rows.map((row) => ({ ...row, column: 'repository_id' })), OWN]) {
    const { rows: counted } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(table)} where ${sql.ref(column)} = ${id}
    `.execute(db);
    if (counted[0]!.n > 0) found[table] = counted[0]!.n;
  }
  return found;
}
const OWN = { table: 'repositories', column: 'id' };

test('U1 U3 U4 U4a U5 U7 U9 U2: from a push to the statuses, with coverage before and after it; and then all of it is gone', async () => {
  const { forgeflow, gitlab, database, config } = environment;
  const ada = gitlab.addUser({ username: 'ada' });
  gitlab.changeUser(ada, {
    emails: [{ email: 'Ada@Example.com', confirmedAt: '2026-01-01T00:00:00Z' }],
    publicEmail: 'Ada@Example.com',
  });
  gitlab.addMember(project, ada, 40);
  const { id } = await forgeflow.repositories.add(project.path);
  await forgeflow.installWebhooks({ repository: project.path });
  const { token } = await forgeflow.repositories.createToken(project.path);
  const desk = await startDesk();
  await eventually(async () => {
    const { branches } = await shown();
    expect(branches).toMatchObject([{ name: 'main', commit: { checks: { state: 'not_configured' } } }]); // U3
  });

  const first = await desk.commit(
    { '.forgeflow.yaml': MANIFEST, 'kiln.js': 'heat();\n// TODO: measure it\ncool();\n' },
    'Fire the kiln',
  );
  expect(await sendCoverage(id, first, token, lcov([1, 0]))).toMatchObject({ status: 202, body: { state: 'held' } });
  expect((await shown()).coverageReports).toMatchObject([{ sha: first, state: 'held' }]);
  await desk.push();
  await eventually(async () => {
    expect(await statusesOf(first)).toEqual({
      forgeflow: 'failed: 1 issue detected',
      'forgeflow/coverage': 'failed: 50% covered (at least 80% is required)',
    });
  }, 30_000);
  expect(await sendCoverage(id, first, token, lcov([1, 1]))).toMatchObject({ status: 202, body: { state: 'queued' } });
  await eventually(async () => {
    expect((await statusesOf(first))['forgeflow/coverage']).toBe('success: 100% covered');
  });
  expect(await forgeflow.commits.show(project.path, first)).toMatchObject({
    title: 'Fire the kiln',
    problems: [{ plugin: 'todo', path: 'kiln.js', line: 2, ruleId: 'todo', message: 'this is left to do' }],
    coverage: { covered: 2, total: 2, excludedFiles: 1 },
    files: [{ path: 'kiln.js', covered: 2, total: 2 }],
  });

  const second = await desk.commit({ 'kiln.js': 'heat();\ncool();\n' }, 'Measure it');
  await desk.push();
  await eventually(async () => {
    expect(await statusesOf(second)).toEqual({ forgeflow: 'success: No issues detected' });
  }, 30_000);
  await eventually(async () => {
    const { commits, commitsSize, branches, coverage, permissions } = await shown();
    expect(commits).toEqual({ count: 3, errored: 0 });
    const { rows } = await sql<{ sum: number }>`select sum(size_bytes)::int as sum from commits`.execute(database.db);
    expect(commitsSize).toBe(rows[0]!.sum);
    expect(branches).toMatchObject([{ name: 'main', headSha: second, commit: { author: 'Ada', username: 'ada' } }]);
    expect(permissions?.members).toEqual({ owner: 0, maintainer: 2, developer: 0, reader: 0 }); // and our own account
    expect(coverage).toMatchObject({ percent: 100, sha: first });
  });
  const history = await database.db.selectFrom('coverage_history').select(['branch', 'covered', 'total']).execute();
  expect(history).toEqual([{ branch: 'main', covered: 2, total: 2 }]);

  await forgeflow.repositories.remove(project.path);
  expect(await traces(id)).toEqual({});
  for (const table of ['problems', 'checks', 'coverage_files', 'commit_statuses', 'job_requests'] as const) {
    expect(await database.db.selectFrom(table).selectAll().execute(), table).toEqual([]);
  }
  expect(existsSync(join(config.storageDirectory, 'repositories', `${id}.git`))).toBe(false);
  expect(readdirSync(join(config.storageDirectory, 'checks'))).toEqual([]);
  expect(gitlab.hooksOf(project)).toEqual([]);
  await eventually(async () => {
    const left: string[] = [];
    for await (const { workflowId } of forgeflow.temporal.workflow.list({
      query: `forgeflowRepository="${project.path}" AND WorkflowType != "destroyRepository"`,
    })) {
      left.push(workflowId);
    }
    expect(left.filter((workflowId) => !/^(trackRepository|installGitLabWebhooks)/.test(workflowId))).toEqual([]);
  }, 90_000); // the server deletes them in its own time
}, 180_000);
