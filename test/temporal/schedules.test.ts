import { tmpdir } from 'node:os';
import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config.ts';
import {
  describeSchedules,
  INSTALL_SCHEDULE,
  sweepAtStart,
  SWEEP_SCHEDULE,
  syncSchedules,
  UPKEEP_SCHEDULE,
} from '../../src/temporal/schedules.ts';
import { eventually } from '../support/eventually.ts';
import { recordingLogger } from '../support/recording-logger.ts';
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
const sweep = () => client.schedule.getHandle(SWEEP_SCHEDULE);
const upkeep = () => client.schedule.getHandle(UPKEEP_SCHEDULE);
/** What a sync did to one of them. */
const changesOf = async (config: Config, id = INSTALL_SCHEDULE) =>
  (await syncSchedules(client, config)).filter((change) => change.schedule === id);

beforeEach(async () => {
  for (const one of [schedule(), sweep(), upkeep()]) await one.delete().catch(() => undefined);
});

test('G1: a schedule starts the installer by its cron, and never beside a run that is under way', async () => {
  expect(await changesOf(settings({ GITLAB_INSTALL_CRON: '*/7 * * * *' }))).toEqual([
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
  expect(await syncSchedules(client, settings())).toMatchObject([
    { change: 'unchanged' },
    { change: 'unchanged' },
    { change: 'unchanged' },
  ]);
  expect(await syncSchedules(client, settings({ GITLAB_INSTALL_CRON: '5 4 * * *' }))).toMatchObject([
    { schedule: INSTALL_SCHEDULE, change: 'updated' },
    { schedule: SWEEP_SCHEDULE, change: 'unchanged' },
    { schedule: UPKEEP_SCHEDULE, change: 'unchanged' },
  ]);
  expect((await schedule().describe()).spec.calendars?.[0]?.hour).toEqual([{ start: 4, end: 4, step: 1 }]);
});

test.each(['GitLab moves house', 'the new token is not set'])(
  'one that an operator paused stays paused, with the note: %s',
  async (note) => {
    await syncSchedules(client, settings());
    await schedule().pause(note);
    expect(await changesOf(settings({ GITLAB_INSTALL_CRON: '5 4 * * *' }))).toEqual([
      { schedule: INSTALL_SCHEDULE, change: 'updated', paused: note },
    ]);
  },
);

test('without a GITLAB_URL it is paused, says so, and runs once there is one', async () => {
  const without = loadConfig({}, tmpdir());
  expect(await changesOf(without)).toMatchObject([{ change: 'created', paused: 'GITLAB_URL is not set' }]);
  expect(await changesOf(without)).toMatchObject([{ change: 'unchanged' }]);
  expect(await changesOf(settings())).toMatchObject([{ change: 'updated', paused: null }]);
  expect(await changesOf(without)).toMatchObject([{ change: 'updated', paused: 'GITLAB_URL is not set' }]);
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
      { schedule: SWEEP_SCHEDULE, paused: null, lastRunAt: null, lastRun: null },
      { schedule: UPKEEP_SCHEDULE, paused: null, lastRunAt: null, lastRun: null },
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
    expect(await describeSchedules(client)).toMatchObject([{ lastRun: 'terminated' }, {}, {}]);
  });
});

test('U8, U9, U10: a schedule asks once a day for what may have been missed, and is put right when it is changed by hand', async () => {
  expect(await changesOf(settings(), UPKEEP_SCHEDULE)).toEqual([
    { schedule: UPKEEP_SCHEDULE, change: 'created', paused: null },
  ]);
  const { policies, action, spec, info } = await upkeep().describe();
  expect(policies).toMatchObject({ overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 12 * 3_600_000 });
  expect(action).toMatchObject({ workflowType: 'requestUpkeep', taskQueue: 'forgeflow', args: [] });
  expect(spec.calendars).toMatchObject([{ hour: [{ start: 3 }], minute: [{ start: 17 }] }]);
  const [first, second] = info.nextActionTimes;
  expect(second!.getTime() - first!.getTime()).toBe(24 * 3_600_000);

  await upkeep().update((before) => ({ ...before, spec: { intervals: [{ every: '1 minute' }] } }));
  expect(await changesOf(settings(), UPKEEP_SCHEDULE)).toMatchObject([{ change: 'updated' }]);
  expect((await upkeep().describe()).spec.intervals ?? []).toEqual([]);
  await upkeep().delete();
  expect(await changesOf(settings(), UPKEEP_SCHEDULE)).toMatchObject([{ change: 'created' }]);
  const without = loadConfig({}, tmpdir());
  expect(await changesOf(without, UPKEEP_SCHEDULE)).toMatchObject([
    { change: 'updated', paused: 'GITLAB_URL is not set' },
  ]);
});

/** The ids of the sweeps that the schedule has started. */
const sweeps = async (): Promise<string[]> =>
  (await sweep().describe()).info.recentActions.map(({ action }) => action.workflow.workflowId);

test('J12: a schedule starts a sweep every hour, never beside another one, and is put right when it is changed by hand', async () => {
  expect(await changesOf(settings(), SWEEP_SCHEDULE)).toEqual([
    { schedule: SWEEP_SCHEDULE, change: 'created', paused: null },
  ]);
  const { policies, action, spec } = await sweep().describe();
  expect(policies.overlap).toBe(ScheduleOverlapPolicy.SKIP);
  expect(action).toMatchObject({ workflowType: 'sweepDeliveries', taskQueue: 'forgeflow', args: [] });
  expect(spec.intervals).toEqual([{ every: 3_600_000, offset: undefined }]);

  await sweep().update((before) => ({ ...before, spec: { intervals: [{ every: '1 minute' }] } }));
  expect(await changesOf(settings(), SWEEP_SCHEDULE)).toMatchObject([{ change: 'updated' }]);
  expect((await sweep().describe()).spec.intervals).toEqual([{ every: 3_600_000, offset: undefined }]);
  expect(await changesOf(loadConfig({}, tmpdir()), SWEEP_SCHEDULE)).toMatchObject([
    { change: 'unchanged', paused: null }, // no GitLab is needed for it
  ]);
});

test('J12: a worker that starts has the schedule start a sweep, but not a second one beside it', async () => {
  const { logger, lines } = recordingLogger();
  await syncSchedules(client, settings());
  await sweepAtStart(client, logger);
  const [first = ''] = await eventually(async () => {
    const started = await sweeps();
    expect(started).toHaveLength(1);
    return started;
  });
  await sweepAtStart(client, logger);
  await eventually(async () => {
    expect((await sweep().describe()).info.numActionsSkippedOverlap).toBe(1);
  });
  expect(await sweeps()).toEqual([first]);
  await client.workflow.getHandle(first).terminate();
  expect(lines).toEqual([]);
});

test('J12: a worker that starts has no sweep started where the schedule is paused, or not there; and says nothing', async () => {
  const { logger, lines } = recordingLogger();
  await sweepAtStart(client, logger);
  await syncSchedules(client, settings());
  await sweep().pause('somebody looks for a lost delivery');
  await sweepAtStart(client, logger);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await sweeps()).toEqual([]);
  expect(lines).toEqual([]);
});

test('J12: a Temporal that is away keeps no worker from starting, nor for long', async () => {
  const { logger, messages } = recordingLogger();
  const away = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
  const since = Date.now();
  await sweepAtStart(away, logger);
  expect(Date.now() - since).toBeLessThan(10_000);
  expect(messages('DEBUG')).toEqual(['no sweep could be started']);
  expect(messages('INFO', 'WARN', 'ERROR')).toEqual([]);
  await away.connection.close();
});
