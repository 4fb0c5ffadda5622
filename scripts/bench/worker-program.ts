// A worker's process, put together as `forgeflow worker` is, but of workflows that were bundled ahead, as in production:
// the bundler would be most of the memory that it holds. See worker-process.ts.
import { once } from 'node:events';
import { loadConfig, required } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { createLogger } from '../../src/logging.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { TASK_QUEUES } from '../../src/temporal/task-queues.ts';
import { installRuntime } from '../../src/temporal/worker.ts';
import { connectWorkers } from '../../src/temporal/worker-connection.ts';
import { assembleWorkers } from '../../src/worker.ts';

const [codePath = ''] = process.argv.slice(2);
const config = loadConfig();
const databaseUrl = required('DATABASE_URL', config.databaseUrl);
const logger = createLogger(config.logLevel);
installRuntime(logger, undefined);
const db = openDatabase(databaseUrl, { maxConnections: config.egressConcurrency + 10 });
const temporal = await connectWorkers(config);
const workers = await assembleWorkers({
  config,
  queues: TASK_QUEUES,
  logger,
  db,
  databaseUrl,
  sealer: createSealer(required('SECRETS_KEY', config.secretsKey)),
  temporal,
  metrics: createMetrics(),
  graceMs: 500,
  workflows: { workflowBundle: { codePath } },
});
process.on('SIGINT', () => undefined); // Ctrl-C is the parent's to handle
process.send?.('at work');
await Promise.race([once(process, 'disconnect'), workers.done]);
await workers.stop();
await temporal.connection.close();
await db.destroy();
