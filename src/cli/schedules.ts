import type { Command } from 'commander';
import pc from 'picocolors';
import { loadConfig } from '../config.ts';
import type { ScheduleChange } from '../temporal/schedules.ts';
import { addCommand, type CommonOptions } from './command.ts';
import { print, table } from './output.ts';

export function addScheduleCommands(program: Command): void {
  const noun = program.command('schedules').description('what runs by the clock');
  addCommand(noun, 'sync', "make Temporal's schedules those of this version and these settings").action(
    async (options: CommonOptions) => {
      const config = loadConfig();
      const { connectClient } = await import('../temporal/connection.ts');
      const { syncSchedules } = await import('../temporal/schedules.ts');
      const client = await connectClient(config);
      try {
        print(await syncSchedules(client, config), options, render);
      } finally {
        await client.connection.close();
      }
    },
  );
}

function render(changes: ScheduleChange[]): string {
  return table(
    ['SCHEDULE', 'CHANGE', 'PAUSED'],
    changes.map(({ schedule, change, paused }) => [schedule, change, paused === null ? 'no' : pc.yellow(paused)]),
    'There are no schedules.',
  );
}
