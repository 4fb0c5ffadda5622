import type { Command } from 'commander';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { readGiven } from './given-text.ts';
import { print } from './output.ts';

export function addPublishCommand(program: Command): void {
  addCommand(program, 'publish <topic>', 'publish one event to whoever subscribed to its topic')
    .requiredOption('--data <json>', 'its payload: JSON, @file, or - for stdin')
    .option('--id <uuid>', 'its id; publishing it again under the same id does nothing')
    .action(async (topic: string, options: CommonOptions & { data: string; id?: string }) => {
      const publication = { topic, data: await readGiven('data', options.data), json: true, id: options.id };
      print(await withClient((client) => client.publish(publication)), options, ({ eventId, duplicate }) =>
        duplicate ? `Event ${eventId} was there already.` : `Published event ${eventId}.`,
      );
    });
}
