// Run as a process of its own by startJobClient: triggers one job, so often and all at once, whenever it is told to.
import { loadConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { ForgeflowClient } from '../../src/index.ts';
import type { Answer, NumberedOrder, Report } from './job-processes.ts';
import { raiseCounter } from './job-world.ts';

const config = loadConfig();
const db = openDatabase(config.databaseUrl ?? '');
const forgeflow = await ForgeflowClient.connect(config);

async function trigger(subject: number): Promise<Answer> {
  const raised = await raiseCounter(db, subject);
  const { deduped } = await forgeflow.enqueue('reindex_search', { repositoryId: subject });
  return { raised, deduped };
}

async function carryOut({ number, subject, times }: NumberedOrder): Promise<void> {
  const answers = await Promise.all(Array.from({ length: times }, () => trigger(subject)));
  process.send?.({ number, answers } satisfies Report);
}

process.on('message', (order: NumberedOrder) => void carryOut(order));
process.on('disconnect', () => process.exit());
process.send?.('ready');
