import type { Command } from 'commander';
import { loadConfig, required } from '../config.ts';
import { addCommand, type CommonOptions } from './command.ts';
import { print } from './output.ts';

export function addMigrateCommand(program: Command): void {
  addCommand(program, 'migrate', "bring the database's schema and Temporal's search attributes up to date")
    .option('--down', 'take the newest migration back instead, with all data of its tables')
    .action(async (options: CommonOptions & { down?: boolean }) => {
      const config = loadConfig();
      const { openDatabase } = await import('../database/connection.ts');
      const { migrateDown, migrateUp } = await import('../database/migrate.ts');
      const db = openDatabase(required('DATABASE_URL', config.databaseUrl));
      try {
        const migrations = await (options.down ? migrateDown(db) : migrateUp(db));
        const searchAttributes = options.down ? [] : await registerIn(config);
        print({ migrations, searchAttributes }, options, (did) => {
          const lines = did.migrations.map(
            ({ name, direction }) => `${direction === 'up' ? '+' : '-'} migration ${name}`,
          );
          lines.push(...did.searchAttributes.map((name) => `+ search attribute ${name}`));
          return lines.join('\n') || 'Nothing to do: everything is up to date.';
        });
      } finally {
        await db.destroy();
      }
    });
}

async function registerIn(config: ReturnType<typeof loadConfig>): Promise<string[]> {
  const { connectClient } = await import('../temporal/connection.ts');
  const { registerSearchAttributes } = await import('../temporal/search-attributes.ts');
  const client = await connectClient(config);
  try {
    return await registerSearchAttributes(client);
  } finally {
    await client.connection.close();
  }
}
