import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import type { Config } from '../config.ts';
import { ConfigError } from '../config.ts';

/** @throws ConfigError when the server does not answer */
export async function connectClient(config: Config): Promise<Client> {
  const { connectionOptions, namespace = 'default' } = settings(config);
  const { address = 'localhost:7233' } = connectionOptions;
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' }).catch(() => {
    throw unreachable(address);
  });
  return new Client({ connection, namespace });
}

/** The connection of workers, and the namespace they work in. @throws ConfigError when the server does not answer */
export async function connectWorkers(config: Config): Promise<{ connection: NativeConnection; namespace: string }> {
  const { connectionOptions, namespace = 'default' } = settings(config);
  const connection = await NativeConnection.connect(connectionOptions).catch(() => {
    throw unreachable(connectionOptions.address ?? 'localhost:7233');
  });
  return { connection, namespace };
}

function settings(config: Config) {
  try {
    return loadClientConnectConfig({ overrideEnvVars: { ...config.temporalEnv } });
  } catch (error) {
    throw new ConfigError('TEMPORAL_*', error instanceof Error ? error.message : 'it is wrong');
  }
}

function unreachable(address: string): ConfigError {
  return new ConfigError(
    'TEMPORAL_ADDRESS',
    `no Temporal server answers at ${address}; start one with "forgeflow dev", or set it to yours`,
  );
}
