import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TrackInput, trackRepository } from '../../workflows/track-repository.ts';
import { eventually } from '../support/eventually.ts';
import { historyText } from '../support/history.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';

let environment: MergeEnvironment;
beforeAll(async () => {
  // Without INGRESS_URL: it is for webhooks, which the installer sees to.
  environment = await startMergeEnvironment({ settings: { INGRESS_URL: '' } });
});
afterAll(() => environment.stop());
afterEach(() => {
  environment.gitlab.faults.clear();
  environment.gitlab.rateLimit.allow();
});

let count = 0;
const start = (input: TrackInput) =>
  environment.forgeflow.temporal.workflow.start<typeof trackRepository>('trackRepository', {
    workflowId: `trackRepository/test-${++count}`,
    taskQueue: 'forgeflow',
    args: [input],
  });
const track = async (input: TrackInput) => (await start(input)).result();
const failureOf = async (input: TrackInput) => {
  const error: unknown = await track(input).catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkflowFailedError)) throw error;
  return error.cause;
};

const row = (id: number) =>
  environment.database.db.selectFrom('repositories').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const rowsAt = async (path: string) =>
  environment.database.db.selectFrom('repositories').selectAll().where('path', '=', path).execute();
/** Of a job that a relay is about to start. */
const resultOf = (jobId: string) =>
  eventually(() => environment.forgeflow.temporal.workflow.getHandle(jobId).result() as Promise<unknown>);
const cloneOf = (id: number) => join(environment.config.storageDirectory, 'repositories', `${id}.git`);

/** In how many rows of which tables there is something of a repository, besides its own and its hook's. */
async function traces(id: number): Promise<Record<string, number>> {
  const { db } = environment.database;
  const { rows: columns } = await sql<{ table: string }>`
    select table_name as table from information_schema.columns
    where table_schema = 'public' and column_name = 'repository_id' and table_name <> 'gitlab_hooks'
  `.execute(db);
  expect(columns.map(({ table }) => table)).toContain('merge_requests');
  const found: Record<string, number> = {};
  for (const { table } of columns) {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(table)} where repository_id = ${id}
    `.execute(db);
    if (rows[0]!.n > 0) found[table] = rows[0]!.n;
  }
  return found;
}

/** Tracked, and its jobs have run. */
async function trackedAndDone(
  path: string,
): Promise<{ id: number; project: Awaited<ReturnType<MergeEnvironment['serve']>>['project'] }> {
  const { project, repository } = await environment.serve(path);
  await repository.git('branch', 'topic', 'main');
  await environment.gitlab.openMergeRequest(project, { sourceBranch: 'topic' });
  const id = await track({ path: project.path });
  await eventually(async () => {
    expect((await environment.forgeflow.repositories.show(project.path)).mergeRequests).toMatchObject([
      { mergeState: 'clean' },
    ]);
    expect(await traces(id)).toMatchObject({ merge_requests: 1, search_indexes: 1 });
  });
  return { id, project };
}

describe('to track a repository', () => {
  test('J1, J6, J10: its merge requests are read, each is computed, and its code is indexed; no settings of webhooks are needed', async () => {
    const { id, project } = await trackedAndDone('shop');
    expect(await row(id)).toMatchObject({
      gitlab_id: String(project.id),
      path: 'acme/shop',
      default_branch: 'main',
      required_approvals: null,
      tracked_at: expect.any(Date) as Date,
      fetched_at: expect.any(Date) as Date,
    });
    expect(existsSync(cloneOf(id))).toBe(true);
    expect(await resultOf(`sync_merge_requests/repo/${id}`)).toMatchObject({ open: 1, added: 1 });
  });

  test('once more keeps since when, and what nobody speaks of; its merge requests are read again', async () => {
    const { id, project } = await trackedAndDone('again');
    const { tracked_at: before } = await row(id);
    expect(await track({ path: project.path, requiredApprovals: 2 })).toBe(id);
    expect(await row(id)).toMatchObject({ tracked_at: before, required_approvals: 2 });
    await environment.gitlab.openMergeRequest(project, { sourceBranch: 'main', targetBranch: 'topic' });
    expect(await track({ path: project.path.toUpperCase() })).toBe(id);
    expect(await row(id)).toMatchObject({ tracked_at: before, required_approvals: 2, path: project.path });
    await eventually(async () => {
      expect(await traces(id)).toMatchObject({ merge_requests: 2 });
    });
    expect(await track({ path: project.path, requiredApprovals: null })).toBe(id);
    expect(await row(id)).toMatchObject({ required_approvals: null });
  });

  test('several at once are tracked once', async () => {
    const { project } = await environment.serve('crowded');
    const ids = await Promise.all(Array.from({ length: 6 }, () => track({ path: project.path })));
    expect(new Set(ids).size).toBe(1);
    expect(await rowsAt(project.path)).toHaveLength(1);
  });

  test('whose path another one has now tracks that one; by a path from before, the one that has moved', async () => {
    const { project: moved } = await environment.serve('popular');
    const first = await track({ path: 'acme/popular' });
    environment.gitlab.moveProject(moved, 'acme/less-popular');
    const { project: next } = await environment.serve('popular');
    const second = await track({ path: 'acme/popular' });
    expect(second).not.toBe(first);
    expect((await row(second)).gitlab_id).toBe(String(next.id));
    expect(await track({ path: 'acme/less-popular' })).toBe(first);
    environment.gitlab.moveProject(next, 'acme/renamed');
    expect(await track({ path: 'acme/popular' })).toBe(second);
    expect(await row(second)).toMatchObject({ path: 'acme/renamed' });
  });

  test('that is empty: there is nothing to index, and no default branch', async () => {
    const { project, repository } = await environment.serve('empty');
    environment.gitlab.changeProject(project, { empty: true });
    await repository.git('update-ref', '-d', 'refs/heads/main');
    const id = await track({ path: project.path });
    expect(await resultOf(`reindex_search/repo/${id}`)).toMatchObject({ files: 0 });
    expect(await resultOf(`sync_merge_requests/repo/${id}`)).toMatchObject({ open: 0 });
    expect(await row(id)).toMatchObject({ default_branch: null, head_sha: null });
  });
});

describe('what cannot be tracked leaves no trace', () => {
  test('bad input: GitLab does not show it: at once, and with its path', async () => {
    expect(await failureOf({ path: 'acme/nothing' })).toMatchObject({
      cause: { type: 'NotInGitLab', message: 'there is no repository acme/nothing that our account sees' },
    });
    const { project } = await environment.serve('deleted');
    await environment.forgeflow.gitlab.sync().catch(() => undefined);
    environment.gitlab.deleteProject(project);
    expect(await failureOf({ path: project.path })).toMatchObject({ cause: { type: 'NotInGitLab' } });
    expect(await rowsAt('acme/nothing')).toEqual([]);
  });

  test("GitLab's rate limit is used up: says until when", async () => {
    const { project } = await environment.serve('limited');
    environment.gitlab.rateLimit.refuse({ forSeconds: 600 });
    const failure = await failureOf({ path: project.path });
    expect(failure).toMatchObject({ type: 'RateLimited' });
    expect(failure?.message).toMatch(/^GitLab's rate limit is used up; try again after \d{4}-\d\d-\d\dT/);
    expect(await rowsAt(project.path)).toEqual([]);
  });

  test('a GitLab that stumbles is asked again', async () => {
    const { project } = await environment.serve('stumbling');
    const fault = environment.gitlab.faults.add({ path: /stumbling/, times: 1, fault: { status: 502 } });
    const id = await track({ path: project.path });
    expect(fault.hits).toBe(1);
    expect(await row(id)).toMatchObject({ path: project.path });
  });
});

test('the token is in no history of theirs', async () => {
  const { temporal } = environment.forgeflow;
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    expect(await historyText(temporal.workflow.getHandle(workflowId, runId)), workflowId).not.toContain(
      environment.gitlab.token,
    );
  }
});
