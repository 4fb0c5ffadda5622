import type { Command } from 'commander';
import type { ForgeflowClient } from '../client/forgeflow-client.ts';

/** What every command understands. */
export interface CommonOptions {
  json?: boolean;
  debug?: boolean;
}

/** Adds a command with the options that all of them have. @param usage name and arguments, as in `show <name>` */
export function addCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--json', 'print one JSON document on stdout')
    .option('--debug', 'show the stack trace of an error');
}

/** For options that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** Lends a client out and closes it whatever happens. */
export async function withClient<T>(work: (client: ForgeflowClient) => Promise<T>): Promise<T> {
  const { ForgeflowClient } = await import('../client/forgeflow-client.ts');
  const client = await ForgeflowClient.connect();
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
