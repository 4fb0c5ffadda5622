// Run as a process of its own by startJobWorker: workers that know nothing but jobs, which read what a test wrote for them.
import { once } from 'node:events';
import { loadConfig, required } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { startJobWorkers } from './job-workers.ts';
import { readTheWorld } from './job-world.ts';

const [workflowBundle = '', graceMs = '500'] = process.argv.slice(2);
const config = loadConfig();
const db = openDatabase(required('DATABASE_URL', config.databaseUrl));
const workers = await startJobWorkers(config, { workflowBundle, handle: readTheWorld(db), graceMs: Number(graceMs) });
process.send?.('at work');
await Promise.race([once(process, 'SIGTERM'), once(process, 'disconnect')]);
await workers.stop();
await db.destroy();
process.exit();
