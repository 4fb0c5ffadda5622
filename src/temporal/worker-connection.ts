import { NativeConnection } from '@temporalio/worker';
import type { Config } from '../config.ts';
import { temporalSettings, unreachable } from './connection.ts';

/** The connection of workers, and the namespace they work in. @throws ConfigError when the server does not answer */
export async function connectWorkers(config: Config): Promise<{ connection: NativeConnection; namespace: string }> {
  const { connectionOptions, namespace = 'default' } = temporalSettings(config);
  const connection = await NativeConnection.connect(connectionOptions).catch(() => {
    throw unreachable(connectionOptions.address);
  });
  return { connection, namespace };
}
