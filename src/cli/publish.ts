import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { invalid } from '../domain/refusal.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { print } from './output.ts';

export function addPublishCommand(program: Command): void {
  addCommand(program, 'publish <topic>', 'publish one event to whoever subscribed to its topic')
    .requiredOption('--data <json>', 'its payload: JSON, @file, or - for stdin')
    .option('--id <uuid>', 'its id; publishing it again under the same id does nothing')
    .action(async (topic: string, options: CommonOptions & { data: string; id?: string }) => {
      const publication = { topic, data: await readData(options.data), json: true, id: options.id };
      print(await withClient((client) => client.publish(publication)), options, ({ eventId, duplicate }) =>
        duplicate ? `Event ${eventId} was there already.` : `Published event ${eventId}.`,
      );
    });
}

async function readData(data: string): Promise<string> {
  if (data === '-') return decode(await buffer(process.stdin));
  if (!data.startsWith('@')) return data;
  try {
    return decode(readFileSync(data.slice(1)));
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      throw invalid('data', `the file "${data.slice(1)}" cannot be read (${String(error.code)})`);
    throw error;
  }
}

/** Bytes that are not UTF-8 are refused: replaced, they would be sent as something else than what was given. */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid('data', 'it is not UTF-8');
  }
}
