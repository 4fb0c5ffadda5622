import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { freePort } from '../../src/free-port.ts';
import { startTemporalServer, type TemporalServer } from '../../src/dev/temporal-server.ts';

let folder: string;
const running: TemporalServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'forgeflow-temporal-'));
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(options: { cli?: string; dbFile?: string; uiPort?: number } = {}): Promise<TemporalServer> {
  const server = await startTemporalServer({
    cli: options.cli ?? inject('temporalCli'),
    port: await freePort(),
    uiPort: options.uiPort ?? null,
    metricsPort: await freePort(),
    dbFile: options.dbFile ?? null,
    logFile: join(folder, 'temporal.log'),
  });
  running.push(server);
  return server;
}

async function withClient<T>({ address }: TemporalServer, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  return work(new Client({ connection })).finally(() => connection.close());
}

test('a workflow, and what it was sent, outlives a restart on the same file', async () => {
  const dbFile = join(folder, 'temporal.db');
  const first = await start({ dbFile });
  await withClient(first, async ({ workflow }) => {
    const handle = await workflow.start('nobodyRunsIt', { taskQueue: 'none', workflowId: 'kept' });
    await handle.signal('heard', 'before the restart');
  });
  await first.stop();
  expect(() => process.kill(first.pid, 0)).toThrow();

  const history = await withClient(await start({ dbFile }), ({ workflow }) =>
    workflow.getHandle('kept').fetchHistory(),
  );
  expect(history.events?.map((event) => event.eventId?.toNumber())).toEqual([1, 2, 3]);
  expect(history.events?.[2]?.workflowExecutionSignaledEventAttributes?.signalName).toBe('heard');
});

test('several run beside one another, each with its Web UI', async () => {
  const servers = await Promise.all([1, 2, 3].map(async () => start({ uiPort: await freePort() })));
  for (const { webUiUrl } of servers) expect((await fetch(webUiUrl!)).status).toBe(200);
});

test('one that cannot come up says why, and the end of its log', async () => {
  writeFileSync(join(folder, 'not-a-folder'), '');
  await expect(start({ dbFile: join(folder, 'not-a-folder', 'temporal.db') })).rejects.toThrow(
    /^Temporal ended while it started \(exit code 1\): .+/,
  );
  await expect(start({ cli: join(folder, 'absent') })).rejects.toThrow(/^Temporal ended while it started \(.*ENOENT/);
});
