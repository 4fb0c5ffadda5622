import { tmpdir } from 'node:os';
import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config.ts';
import { describeSchedules, INSTALL_SCHEDULE, syncSchedules } from '../../src/temporal/schedules.ts';
import { eventually } from '../support/eventually.ts';
import { startTestTemporal, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let client: Client;
beforeAll(async () => {
  temporal = await startTestTemporal();
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
});
afterAll(async () => {
  await client.connection.close();
  await temporal.stop();
});

const settings = (more: Record<string, string> = {}): Config =>
  loadConfig({ GITLAB_URL: 'https://gitlab.example.com', ...more }, tmpdir());
const schedule = () => client.schedule.getHandle(INSTALL_SCHEDULE);

beforeEach(async () => {
  await schedule()
    .delete()
    .catch(() => undefined);
});

test('G1: a schedule starts the installer by its cron, and never beside a run that is under way', async () => {
  expect(await syncSchedules(client, settings({ GITLAB_INSTALL_CRON: '*/7 * * * *' }))).toEqual([
    { schedule: INSTALL_SCHEDULE, change: 'created', paused: null },
  ]);
  const { policies, action, spec, state } = await schedule().describe();
  expect(policies.overlap).toBe(ScheduleOverlapPolicy.SKIP);
  expect(action).toMatchObject({ workflowType: 'installGitLabWebhooks', taskQueue: 'forgeflow', args: [{}] });
  expect(spec.calendars?.[0]?.minute).toEqual([{ start: 0, end: 59, step: 7 }]);
  expect(state.paused).toBe(false);
});

test('a second sync changes nothing, and one with another cron does', async () => {
  await syncSchedules(client, settings());
  expect(await syncSchedules(client, settings())).toMatchObject([{ change: 'unchanged' }]);
  expect(await syncSchedules(client, settings({ GITLAB_INSTALL_CRON: '5 4 * * *' }))).toMatchObject([
    { change: 'updated' },
  ]);
  expect((await schedule().describe()).spec.calendars?.[0]?.hour).toEqual([{ start: 4, end: 4, step: 1 }]);
});

test.each(['GitLab moves house', 'the new token is not set'])(
  'one that an operator paused stays paused, with the note: %s',
  async (note) => {
    await syncSchedules(client, settings());
    await schedule().pause(note);
    expect(await syncSchedules(client, settings({ GITLAB_INSTALL_CRON: '5 4 * * *' }))).toEqual([
      { schedule: INSTALL_SCHEDULE, change: 'updated', paused: note },
    ]);
  },
);

test('without a GITLAB_URL it is paused, says so, and runs once there is one', async () => {
  const without = loadConfig({}, tmpdir());
  expect(await syncSchedules(client, without)).toMatchObject([{ change: 'created', paused: 'GITLAB_URL is not set' }]);
  expect(await syncSchedules(client, without)).toMatchObject([{ change: 'unchanged' }]);
  expect(await syncSchedules(client, settings())).toMatchObject([{ change: 'updated', paused: null }]);
  expect(await syncSchedules(client, without)).toMatchObject([{ change: 'updated', paused: 'GITLAB_URL is not set' }]);
});

test('one of ours that is no longer in the code is removed; those of others are left alone', async () => {
  const other = {
    spec: { cronExpressions: ['0 0 1 1 *'] },
    action: { type: 'startWorkflow' as const, workflowType: 'other', taskQueue: 'other' },
  };
  await client.schedule.create({ ...other, scheduleId: 'outdated', memo: { managedBy: 'forgeflow' } });
  await client.schedule.create({ ...other, scheduleId: 'somebody-elses' });
  await eventually(async () => {
    // The list lags a little.
    const changes = await syncSchedules(client, settings());
    expect(changes).toContainEqual({ schedule: 'outdated', change: 'removed', paused: null });
  });
  await expect(client.schedule.getHandle('outdated').describe()).rejects.toThrow();
  await client.schedule.getHandle('somebody-elses').describe();
});

test('the status says when each ran, how that ended, and when it runs again', async () => {
  await syncSchedules(client, settings());
  await eventually(async () => {
    expect(await describeSchedules(client)).toMatchObject([
      { schedule: INSTALL_SCHEDULE, paused: null, lastRunAt: null, lastRun: null },
    ]);
  });
  await schedule().trigger();
  await eventually(async () => {
    const [described] = await describeSchedules(client);
    expect(described).toMatchObject({ lastRun: 'running' });
    expect(Date.parse(described?.lastRunAt ?? '')).toBeLessThanOrEqual(Date.now() + 1_000);
    expect(Date.parse(described?.nextRunAt ?? '')).toBeGreaterThan(Date.now() - 1_000);
  });
  const [run] = (await schedule().describe()).info.recentActions;
  await client.workflow.getHandle(run?.action.workflow.workflowId ?? '').terminate();
  await eventually(async () => {
    expect(await describeSchedules(client)).toMatchObject([{ lastRun: 'terminated' }]);
  });
});
