import { createRequire } from 'node:module';
import type * as ClientSdk from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { type Config, ConfigError } from '../config.ts';

const require = createRequire(import.meta.url);
/** Temporal's SDK. It takes longer to load than most calls to the database run, so whatever needs no Temporal goes without. */
const sdk = () => require('@temporalio/client') as typeof ClientSdk;

/** @throws UnreachableError */
export async function connectClient(config: Config): Promise<Client> {
  const { connectionOptions, namespace = 'default' } = temporalSettings(config);
  const { Client, Connection } = sdk();
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' }).catch(() => {
    throw new UnreachableError(connectionOptions.address);
  });
  return new Client({ connection, namespace });
}

/**
 * A client that is made when it is first asked for and dials when it is first used: publishing, and all that only Postgres
 * is needed for, goes on while Temporal is away.
 */
export class LateClient {
  readonly #settings: ReturnType<typeof temporalSettings>;
  #client: Client | undefined;

  /** @throws ConfigError */
  constructor(config: Config) {
    this.#settings = temporalSettings(config);
  }

  get client(): Client {
    const { Client, Connection } = sdk();
    const { connectionOptions, namespace = 'default' } = this.#settings;
    this.#client ??= new Client({
      connection: Connection.lazy({ ...connectionOptions, connectTimeout: '5s' }),
      namespace,
    });
    return this.#client;
  }

  async close(): Promise<void> {
    await this.#client?.connection.close();
  }
}

const ANSWER_WITHIN_MS = 5_000;

/**
 * Asks the server whether it is there, for gRPC itself tries again for much longer than a person waits.
 * @throws UnreachableError
 */
export async function reach(client: Client): Promise<void> {
  try {
    await client.withDeadline(Date.now() + ANSWER_WITHIN_MS, () => client.workflowService.getSystemInfo({}));
  } catch {
    const { connection } = client;
    throw new UnreachableError(connection instanceof sdk().Connection ? connection.options.address : undefined);
  }
}

/** How to reach the server, as `@temporalio/envconfig` reads it from the `TEMPORAL_*` variables. */
export function temporalSettings(config: Config) {
  try {
    return loadClientConnectConfig({ overrideEnvVars: { ...config.temporalEnv } });
  } catch (error) {
    throw new ConfigError('TEMPORAL_*', error instanceof Error ? error.message : 'it is wrong');
  }
}

/** Temporal does not answer, now. */
export class UnreachableError extends ConfigError {
  constructor(address = 'localhost:7233') {
    super(
      'TEMPORAL_ADDRESS',
      `no Temporal server answers at ${address}; start one with "forgeflow dev", or set it to yours`,
    );
  }
}
