import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { inject } from 'vitest';
import { freePort } from '../../src/free-port.ts';
import { startTemporalServer } from '../../src/dev/temporal-server.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { killedAtExit, temporaryDirectory } from './services.ts';

export interface TestTemporal {
  address: string;
  stop(): Promise<void>;
}

/** A Temporal server of one's own, in memory, that knows our search attributes. */
export async function startTestTemporal(
  cli = inject('temporalCli'),
  dynamicConfig: readonly string[] = [],
): Promise<TestTemporal> {
  const directory = temporaryDirectory('forgeflow-test-temporal-');
  const server = await startTemporalServer({
    cli,
    port: await freePort(),
    uiPort: null,
    metricsPort: await freePort(),
    dbFile: null,
    logFile: join(directory, 'temporal.log'),
    dynamicConfig,
  });
  const stop = killedAtExit(server);
  const connection = await Connection.connect({ address: server.address });
  await registerSearchAttributes(new Client({ connection })).finally(() => connection.close());
  return {
    address: server.address,
    async stop() {
      await stop();
      rmSync(directory, { recursive: true });
    },
  };
}
