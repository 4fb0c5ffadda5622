import { connect } from 'node:net';
import { Connection } from '@temporalio/client';
import { startServer, untilReady } from './child-process.ts';

export interface TemporalServerOptions {
  /** Path of the Temporal CLI. */
  cli: string;
  port: number;
  /** Null: no Web UI. */
  uiPort: number | null;
  metricsPort: number;
  /** Null: everything is forgotten at the end. */
  dbFile: string | null;
  logFile: string;
  /** More of the server's dynamic configuration, `key=value`. */
  dynamicConfig?: readonly string[];
}

export interface TemporalServer {
  address: string;
  webUiUrl: string | null;
  pid: number;
  stop(): Promise<void>;
}

const DYNAMIC_CONFIG = [
  // One process gains nothing from queues in four parts, which cost it a third more for every workflow.
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  'matching.enableFairness=true',
  // So that tests and the demo can go through 24 h in a second; it does nothing to a workflow that nobody forwards.
  'frontend.WorkflowTimeSkippingEnabled=true',
  'history.timerProcessorMaxTimeShift="20ms"',
];

/** Starts Temporal's development server on 127.0.0.1 and waits until it answers. */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { cli, port, uiPort, metricsPort, dbFile, logFile, dynamicConfig = [] } = options;
  const args = [
    'server',
    'start-dev',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--metrics-port',
    String(metricsPort),
  ];
  args.push(...(uiPort === null ? ['--headless'] : ['--ui-port', String(uiPort)]));
  // The write-ahead log about doubles the rate on a file.
  const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => ['--sqlite-pragma', pragma]);
  if (dbFile !== null) args.push('--db-filename', dbFile, ...pragmas);
  args.push(
    ...[...DYNAMIC_CONFIG, ...dynamicConfig].flatMap((value) => ['--dynamic-config-value', value]),
    '--log-level',
    'warn',
  );

  const server = startServer({ command: cli, args, logFile });
  const address = `127.0.0.1:${port}`;
  const startedAt = Date.now();
  // Somebody else's server may answer there while ours is about to find the port taken; ours prints it when it has it.
  const banner = new RegExp(`^(Temporal )?Server: .*:${port}$`, 'm');
  const isOurs = (): boolean => banner.test(server.printed()) || Date.now() - startedAt > 10_000;
  await untilReady('Temporal', {
    server,
    ready: async () => (await hasNamespace(port)) && isOurs(),
    timeoutMs: 30_000,
  });
  return {
    address,
    webUiUrl: uiPort === null ? null : `http://127.0.0.1:${uiPort}`,
    pid: server.pid,
    // Its orderly end takes a second, in which a server without a file has nothing to bring into order.
    stop: () => server.stop(dbFile === null ? ['SIGKILL'] : ['SIGTERM', 'SIGINT', 'SIGKILL'], 3_000),
  };
}

async function hasNamespace(port: number): Promise<boolean> {
  // A gRPC connection that is refused once tries again only after a second.
  if (!(await isListening(port))) return false;
  try {
    const connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 1_000 });
    try {
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

async function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
