import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { type Config, ConfigError } from '../config.ts';

/** @throws ConfigError when the server does not answer */
export async function connectClient(config: Config): Promise<Client> {
  const { connectionOptions, namespace = 'default' } = temporalSettings(config);
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' }).catch(() => {
    throw unreachable(connectionOptions.address);
  });
  return new Client({ connection, namespace });
}

/** How to reach the server, as `@temporalio/envconfig` reads it from the `TEMPORAL_*` variables. */
export function temporalSettings(config: Config) {
  try {
    return loadClientConnectConfig({ overrideEnvVars: { ...config.temporalEnv } });
  } catch (error) {
    throw new ConfigError('TEMPORAL_*', error instanceof Error ? error.message : 'it is wrong');
  }
}

export function unreachable(address = 'localhost:7233'): ConfigError {
  return new ConfigError(
    'TEMPORAL_ADDRESS',
    `no Temporal server answers at ${address}; start one with "forgeflow dev", or set it to yours`,
  );
}
