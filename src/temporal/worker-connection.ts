import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { Config } from '../config.ts';
import { temporalSettings, UnreachableError } from './connection.ts';

export interface WorkerConnection {
  connection: NativeConnection;
  namespace: string;
  /** On the same connection: what it starts, a worker of this process may take over at once (eager start). */
  client: Client;
}

/** The connection of workers, and the namespace they work in. @throws UnreachableError */
export async function connectWorkers(config: Config): Promise<WorkerConnection> {
  const { connectionOptions, namespace = 'default' } = temporalSettings(config);
  const connection = await NativeConnection.connect(connectionOptions).catch(() => {
    throw new UnreachableError(connectionOptions.address);
  });
  return { connection, namespace, client: new Client({ connection, namespace }) };
}
