import type { Command } from 'commander';
import pc from 'picocolors';
import type { JobStatus } from '../client/jobs.ts';
import { DEAD_SHOWN, type SystemStatus } from '../client/status.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, state, table, time } from './output.ts';

export function addStatusCommand(program: Command): void {
  addCommand(
    program,
    'status',
    'workers, queues, backlog, deliveries, subscriptions, tripped ones and dead jobs on one screen',
  ).action(async (options: CommonOptions) => {
    print(await withClient((client) => client.status()), options, render);
  });
}

function render({ queues, schedules, jobs, backlog, deliveries, subscriptions, tripped }: SystemStatus): string {
  const queueTable =
    queues === null
      ? pc.red(
          'Temporal does not answer (TEMPORAL_ADDRESS); nothing is delivered until it does, and nothing gets lost.',
        )
      : table(
          ['QUEUE', 'TASKS', 'WORKERS', 'BACKLOG'],
          queues.map(({ queue, kind, workers, backlog: tasks }) => [
            queue,
            kind,
            workers === 0 ? pc.red('none') : String(workers),
            String(tasks),
          ]),
          '',
        );
  const trippedTable = table(
    ['TRIPPED', 'SINCE', 'NEXT PROBE', 'WAITING', 'LAST ERROR'],
    tripped.map(({ subscription, trippedAt, nextProbeAt, waiting, lastError }) => [
      pc.red(subscription),
      time(trippedAt),
      time(nextProbeAt),
      String(waiting),
      lastError ?? '',
    ]),
    '',
  );
  const scheduleTable = table(
    ['SCHEDULE', 'LAST RUN', 'ENDED AS', 'NEXT RUN'],
    (schedules ?? []).map(({ schedule, lastRunAt, lastRun, nextRunAt, paused }) => [
      schedule,
      time(lastRunAt),
      state(lastRun ?? '–'),
      paused === null ? time(nextRunAt) : pc.yellow(`paused: ${paused}`),
    ]),
    '',
  );
  return [
    queueTable,
    ...(schedules !== null && schedules.length > 0 ? [scheduleTable] : []),
    `${pc.bold('WAITING')}\n${fields([
      ['events', waiting(backlog.events, backlog.oldestEventAt)],
      ['deliveries', waiting(backlog.deliveries, backlog.oldestDeliveryAt)],
      ['events for jobs', String(backlog.jobEvents)],
      ['jobs', waiting(backlog.jobRequests, backlog.oldestJobRequestAt)],
    ])}`,
    ...(jobs === null
      ? []
      : [
          `${pc.bold('JOBS')}\n${fields([
            ['active', String(jobs.active)],
            ['dead', countOfDead(jobs.dead)],
          ])}`,
        ]),
    ...(jobs === null || jobs.dead.length === 0 ? [] : [renderDead(jobs.dead)]),
    `${pc.bold('DELIVERIES')}\n${counts(deliveries)}`,
    `${pc.bold('SUBSCRIPTIONS')}\n${counts(subscriptions)}`,
    ...(tripped.length > 0 ? [trippedTable] : []),
  ].join('\n\n');
}

function countOfDead(dead: JobStatus[]): string {
  if (dead.length === 0) return '0';
  return pc.red(dead.length < DEAD_SHOWN ? String(dead.length) : `${DEAD_SHOWN} or more`);
}

function renderDead(dead: JobStatus[]): string {
  return table(
    ['DEAD JOB', 'SINCE', 'ATTEMPTS', 'ERROR'],
    dead.map(({ jobId, finishedAt, attempts, error }) => [
      pc.red(jobId),
      time(finishedAt),
      String(attempts),
      error ?? '',
    ]),
    '',
  );
}

function waiting(count: number, oldestAt: string | null): string {
  return oldestAt === null ? String(count) : `${count}, the oldest since ${time(oldestAt)}`;
}

function counts(of: Record<string, number>): string {
  return fields(
    Object.entries(of).map(([name, count]) => [name, count > 0 ? state(name).replace(name, String(count)) : '0']),
  );
}
