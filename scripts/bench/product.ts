import { randomBytes } from 'node:crypto';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { connectClient } from '../../src/temporal/connection.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import type { Cleanup } from './cleanup.ts';

export interface ProductOptions {
  /** Where no `.env` lies. */
  home: string;
  databaseUrl: string;
  temporalAddress: string;
  /** More settings, as environment variables. */
  settings?: Record<string, string>;
}

/** forgeflow as anyone would use it, short of a worker. */
export interface Product {
  config: Config;
  /** The same settings as environment variables, for a process of its own. */
  variables: Record<string, string>;
  forgeflow: ForgeflowClient;
}

/** Brings the servers up to date and connects. Receivers on this machine are allowed. */
export async function openProduct(
  { home, databaseUrl, temporalAddress, settings = {} }: ProductOptions,
  cleanup: Cleanup,
): Promise<Product> {
  const variables = {
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporalAddress,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
    LOG_LEVEL: 'error',
    ...settings,
  };
  const config = loadConfig(variables, home);
  const db = openDatabase(databaseUrl);
  await migrateUp(db);
  await db.destroy();
  const client = await connectClient(config);
  await registerSearchAttributes(client);
  await client.connection.close();
  const forgeflow = await ForgeflowClient.connect(config);
  cleanup.add(() => forgeflow.close());
  return { config, variables, forgeflow };
}
