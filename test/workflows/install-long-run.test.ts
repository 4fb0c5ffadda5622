import { afterAll, beforeAll, expect, test } from 'vitest';
import { historyText } from '../support/history.ts';
import { assertEachHasItsHook } from '../support/gitlab-hook-assertions.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';

/** So many events, and Temporal advises to go on with a new history; as it does by itself after some thousands. */
const LONG = 20;

let world: InstallerEnvironment;
beforeAll(async () => {
  const advice = `limit.historyCount.suggestContinueAsNew=${LONG}`;
  world = await startInstallerEnvironment({ temporalConfig: [advice] });
});
afterAll(() => world.stop());

async function historiesOf(workflowId: string): Promise<{ runId: string; length: number }[]> {
  const { workflow } = world.forgeflow.temporal;
  const histories: { runId: string; length: number }[] = [];
  for await (const { runId } of workflow.list({ query: `WorkflowId = "${workflowId}"` })) {
    const { historyLength } = await workflow.getHandle(workflowId, runId).describe();
    histories.push({ runId, length: historyLength });
  }
  return histories;
}

test('G10: a run of many pages goes on in history after history, all of them short, and is one run to everybody', async () => {
  const { gitlab, forgeflow, db } = world;
  const projects = gitlab.addProjects(250);
  gitlab.rateLimit.refuse({ at: 500, bare: true });
  const first = await forgeflow.installWebhooks();
  expect(first).toMatchObject({ endedEarly: 'rate_limited' });
  expect(first.installed + first.remaining).toBe(250);
  gitlab.rateLimit.allow();
  const { handle, result } = await world.start();
  const second = await result;
  expect(second).toMatchObject({ endedEarly: null, installed: first.remaining, remaining: 0, failed: 0 });
  await assertEachHasItsHook(world, projects);

  const histories = await historiesOf(handle.workflowId);
  expect(histories.map(({ runId }) => runId)).toContain(second.runId); // the first of them
  expect(histories.length).toBeGreaterThan(2);
  expect(Math.max(...histories.map(({ length }) => length))).toBeLessThan(2 * LONG);
  const runs = await db.selectFrom('gitlab_runs').select('id').execute();
  expect(runs.map(({ id }) => id).sort()).toEqual([first.runId, second.runId].sort());
  // What it goes on with is where it was, and not what it was about.
  const last = await historyText(forgeflow.temporal.workflow.getHandle(handle.workflowId));
  expect(last).not.toContain(projects[0]!.path);
});
