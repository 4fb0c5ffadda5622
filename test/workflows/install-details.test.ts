import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renew } from '../support/gitlab-hook-world.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';

let world: InstallerEnvironment;
beforeAll(async () => {
  world = await startInstallerEnvironment();
});
afterAll(() => world.stop());

interface Shown {
  details: string;
  state: unknown;
}

async function shown(handle: WorkflowHandle): Promise<Shown> {
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  const { raw } = await handle.describe();
  const state = raw.workflowExecutionInfo?.searchAttributes?.indexedFields?.['forgeflowState']?.data;
  return { details: currentDetails, state: JSON.parse(Buffer.from(state ?? []).toString()) as unknown };
}

test('G4: the details in the Web UI say the page, the counts, why the run ended, and when it goes on', async () => {
  const { gitlab } = world;
  await renew(world, 12);
  gitlab.rateLimit.refuse({ at: gitlab.requestCount + 20, forSeconds: 60 });
  const limited = await world.start();
  const { installed, remaining, retryAt } = await limited.result;
  expect(installed + remaining).toBe(12);
  expect(await shown(limited.handle)).toEqual({
    details: [
      `**page 1**: ${installed} done, ${remaining} to do`,
      `installed ${installed} · remaining ${remaining}`,
      `ended early: GitLab's rate limit is used up; the first run after ${retryAt ?? ''} goes on`,
    ].join('\n\n'),
    state: 'rate_limited',
  });

  gitlab.rateLimit.allow();
  const finished = await world.start();
  const result = await finished.result;
  expect(await shown(finished.handle)).toEqual({
    details: [
      `**page 1**: ${remaining} done, 0 to do`,
      [`installed ${result.installed}`, ...(result.adopted > 0 ? [`adopted ${result.adopted}`] : [])].join(' · '),
      'ended: nothing is left to do',
    ].join('\n\n'),
    state: 'done',
  });
});

test('a run that failed says why in its details', async () => {
  const { handle, result } = await world.start({ repository: 'acme/nothing' });
  await expect(result).rejects.toThrow();
  expect(await shown(handle)).toMatchObject({ state: 'failed' });
  expect((await shown(handle)).details).toContain('failed: there is no repository acme/nothing that our account sees');
});

test('G4: a run for one repository that a rate limit ends says that this one is still to be done', async () => {
  const { gitlab } = world;
  const [project] = await renew(world, 1);
  gitlab.rateLimit.refuse({ forSeconds: 60 });
  const { result } = await world.start({ repository: project?.path ?? '' });
  expect(await result).toMatchObject({ endedEarly: 'rate_limited', installed: 0, remaining: 1 });
  gitlab.rateLimit.allow();
});
