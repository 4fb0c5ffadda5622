import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { FolderCache } from '../../src/cache/folder-cache.ts';
import { findHookOfRepository } from '../../src/database/gitlab-hooks.ts';
import { putText } from '../cache/cache-contract.ts';
import { install } from '../database/hook-rows.ts';
import { eventually } from '../support/eventually.ts';
import type { Project } from '../support/gitlab/index.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';
import { countRows } from '../support/repository-rows.ts';

let environment: MergeEnvironment;
let cache: FolderCache;
beforeAll(async () => {
  environment = await startMergeEnvironment({
    settings: { CACHE: 'folder', CACHE_QUOTA_BYTES: '10' },
    // So that the server soon knows of what it did, before which it deletes no execution.
    temporalConfig: [
      'history.transferProcessorUpdateAckInterval="1s"',
      'history.visibilityProcessorUpdateAckInterval="1s"',
    ],
  });
  cache = new FolderCache(join(environment.config.storageDirectory, 'cache'));
});
afterAll(() => environment.stop());
afterEach(() => {
  environment.gitlab.faults.clear();
});

const client = () => environment.forgeflow.repositories;

interface Kept {
  id: number;
  project: Project;
}

/** Tracked, with a webhook and something in the cache. */
async function tracked(path: string, mergeRequests = 1): Promise<Kept> {
  const { gitlab, database } = environment;
  const { project, repository } = await environment.serve(path);
  for (let n = 0; n < mergeRequests; n++) {
    await repository.git('branch', `topic-${n}`, 'main');
    await gitlab.openMergeRequest(project, { sourceBranch: `topic-${n}` });
  }
  const { id } = await client().add(project.path);
  const hook = await findHookOfRepository(database.db, id);
  const { id: gitlabHookId } = gitlab.addHook(project, { url: `${environment.config.ingressUrl}/gitlab/events` });
  await install(database.db, hook!.id, { gitlabHookId });
  await putText(cache, id, 'a', 'x');
  return { id, project };
}

const executions = async (id: number): Promise<string[]> => {
  const found: string[] = [];
  const query = `forgeflowRepositoryId = '${id}'`;
  for await (const { workflowId } of environment.forgeflow.temporal.workflow.list({ query })) found.push(workflowId);
  return found;
};

/** Of what was sent and done, and what is of no one repository. */
const RECORDS = ['events', 'gitlab_runs', 'gitlab_listings', 'users', 'subscription_changes'];

/** Until there is nothing but the record that it was removed. */
async function nothingIsLeftOf({ id, project }: Kept): Promise<void> {
  const { config, gitlab, database } = environment;
  expect(existsSync(join(config.storageDirectory, 'repositories', `${id}.git`))).toBe(false);
  expect(await cache.list(id)).toEqual([]);
  expect(gitlab.hooksOf(project)).toEqual([]);
  await eventually(async () => {
    expect(new Set(await executions(id))).toEqual(new Set([`destroyRepository/repo/${id}`]));
  }, 60_000);
  const rows = Object.entries(await countRows(database.db)).filter(
    ([table, n]) => n > 0 && !RECORDS.includes(table) && !table.startsWith('kysely'),
  );
  expect(rows).toEqual([]);
}

describe('U2: repositories remove', () => {
  test('leaves nothing of it anywhere, neither running nor closed executions of its jobs; it can be added again', async () => {
    const kept = await tracked('short-lived');
    await eventually(async () => {
      const shown = await client().show(kept.project.path);
      expect(shown.index).not.toBeNull();
      expect(shown.mergeRequests).toMatchObject([{ mergeState: 'clean' }]);
    });
    expect((await executions(kept.id)).length).toBeGreaterThan(2);
    await client().remove(kept.project.path);
    await nothingIsLeftOf(kept);
    await expect(client().remove(kept.project.path)).rejects.toMatchObject({ kind: 'not_found' });
    const again = await client().add(kept.project.path);
    expect(again.id).not.toBe(kept.id);
    await eventually(async () => {
      expect((await client().show(kept.project.path)).mergeRequests).toMatchObject([{ mergeState: 'clean' }]);
    });
    await client().remove(kept.project.path);
    await nothingIsLeftOf({ ...kept, id: again.id });
  });

  test('J7: while all its jobs are under way, twice at once: they are cancelled, and nothing is left in the end', async () => {
    for (const waitMs of [0, 700]) {
      const kept = await tracked(`contested-${waitMs}`, 3);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const another = environment.forgeflow.enqueue('destroyRepository', { repositoryId: kept.id }, 'another');
      await Promise.all([client().remove(kept.project.path), client().remove(kept.project.path)]);
      const { jobId } = await another;
      await environment.forgeflow.temporal.workflow.getHandle(jobId).result();
      await eventually(async () => {
        const ids = await executions(kept.id);
        expect(ids.filter((id) => !id.startsWith('destroyRepository/'))).toEqual([]);
      }, 60_000);
      await environment.forgeflow.temporal.workflowService.deleteWorkflowExecution({
        namespace: 'default',
        workflowExecution: { workflowId: jobId },
      });
      await nothingIsLeftOf(kept);
    }
  });

  test('that GitLab keeps from its end says why, and is done once more', async () => {
    const kept = await tracked('kept-back');
    environment.gitlab.faults.add({
      path: /kept-back|hooks/,
      fault: { status: 403, body: { message: '403 Forbidden' } },
    });
    await expect(client().remove(kept.project.path)).rejects.toThrow(
      /^GitLab does not let our account take the webhook off acme\/kept-back;/,
    );
    expect(await client().list()).toEqual([]);
    expect(environment.gitlab.hooksOf(kept.project)).toHaveLength(1);
    environment.gitlab.faults.clear();
    await client().remove(kept.project.path);
    await nothingIsLeftOf(kept);
  });
});

test('U6: what is over the quota is evicted by the job that a put asks for', async () => {
  const kept = await tracked('crowded');
  for (const key of ['b', 'c', 'd']) await putText(cache, kept.id, key, 'xxxxx');
  const { jobId } = await environment.forgeflow.enqueue('requestCacheEviction', { repositoryId: kept.id });
  expect(await environment.forgeflow.temporal.workflow.getHandle(jobId).result()).toMatchObject({
    ...{ evicted: 2, freedBytes: 6, bytes: 10 },
  });
  await client().remove(kept.project.path);
  await nothingIsLeftOf(kept);
});
