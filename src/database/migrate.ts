import { type Migration, type MigrationResultSet, Migrator } from 'kysely';
import type { ForgeflowDatabase } from './connection.ts';
import * as webhookDelivery from './migrations/20261124-webhook-delivery.ts';
import * as eventBus from './migrations/20261125-event-bus.ts';
import * as gitlabWebhooks from './migrations/20261126-gitlab-webhooks.ts';
import * as jobs from './migrations/20261127-jobs.ts';
import * as retention from './migrations/20261127-retention.ts';
import * as searchIndex from './migrations/20261127-search-index.ts';
import * as upkeep from './migrations/20261128-upkeep.ts';
import * as expressLane from './migrations/20261129-express-lane.ts';
import * as openBatches from './migrations/20261130-open-batches.ts';

// Listed by hand, not found in a folder, so that they are part of any bundle. Names are for ever.
const MIGRATIONS: Record<string, Migration> = {
  '20261124-webhook-delivery': webhookDelivery,
  '20261125-event-bus': eventBus,
  '20261126-gitlab-webhooks': gitlabWebhooks,
  '20261127-jobs': jobs,
  '20261127-retention': retention,
  '20261127-search-index': searchIndex,
  '20261128-upkeep': upkeep,
  '20261129-express-lane': expressLane,
  '20261130-open-batches': openBatches,
};

export interface AppliedMigration {
  name: string;
  direction: 'up' | 'down';
}

/** Brings the schema up to date; two processes that do it at once wait for one another. @throws what the failed migration threw */
export async function migrateUp(db: ForgeflowDatabase): Promise<AppliedMigration[]> {
  return applied(await migrator(db).migrateToLatest());
}

/** Takes the newest migration back, with all data of its tables. */
export async function migrateDown(db: ForgeflowDatabase): Promise<AppliedMigration[]> {
  return applied(await migrator(db).migrateDown());
}

/** The names of migrations that this version knows and the database has not had. */
export async function pendingMigrations(db: ForgeflowDatabase): Promise<string[]> {
  const migrations = await migrator(db).getMigrations();
  return migrations.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name);
}

function migrator(db: ForgeflowDatabase): Migrator {
  return new Migrator({ db, provider: { getMigrations: () => Promise.resolve(MIGRATIONS) } });
}

function applied({ error, results = [] }: MigrationResultSet): AppliedMigration[] {
  if (error !== undefined) throw error instanceof Error ? error : new Error('a migration failed', { cause: error });
  return results.map(({ migrationName, direction }) => ({
    name: migrationName,
    direction: direction === 'Up' ? 'up' : 'down',
  }));
}
