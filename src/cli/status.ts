import type { Command } from 'commander';
import pc from 'picocolors';
import type { SystemStatus } from '../client/status.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, state, table } from './output.ts';

export function addStatusCommand(program: Command): void {
  addCommand(program, 'status', 'workers, queues, deliveries and subscriptions on one screen').action(
    async (options: CommonOptions) => {
      print(await withClient((client) => client.status()), options, render);
    },
  );
}

function render({ queues, deliveries, subscriptions }: SystemStatus): string {
  const queueTable = table(
    ['QUEUE', 'TASKS', 'WORKERS', 'BACKLOG'],
    queues.map(({ queue, kind, workers, backlog }) => [
      queue,
      kind,
      workers === 0 ? pc.red('none') : String(workers),
      String(backlog),
    ]),
    '',
  );
  return [
    queueTable,
    `${pc.bold('DELIVERIES')}\n${counts(deliveries)}`,
    `${pc.bold('SUBSCRIPTIONS')}\n${counts(subscriptions)}`,
  ].join('\n\n');
}

function counts(of: Record<string, number>): string {
  return fields(
    Object.entries(of).map(([name, count]) => [name, count > 0 ? state(name).replace(name, String(count)) : '0']),
  );
}
