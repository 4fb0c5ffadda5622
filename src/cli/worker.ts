import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { invalid } from '../domain/refusal.ts';
import { TASK_QUEUES, type TaskQueue } from '../temporal/task-queues.ts';
import { addCommand } from './command.ts';
import { untilAskedToStop } from './signals.ts';

export function addWorkerCommand(program: Command): void {
  addCommand(program, 'worker', 'serve the task queues until SIGTERM or Ctrl-C, then finish what is in flight')
    .option('--queues <names>', `only these, separated by commas: ${TASK_QUEUES.join(', ')}`, TASK_QUEUES.join(','))
    .action(async ({ queues }: { queues: string }) => {
      const asked = untilAskedToStop(); // from now on: a signal during the start is no sudden end either
      const config = loadConfig();
      // Heavy, and only this command needs them.
      const [{ createLogger }, { startWorkerProcess }] = await Promise.all([
        import('../logging.ts'),
        import('../worker.ts'),
      ]);
      const logger = createLogger(config.logLevel);
      const served = queuesOf(queues);
      const starting = startWorkerProcess({ config, queues: served, logger });
      if ((await Promise.race([starting, asked])) === undefined) {
        logger.info('worker is asked to stop while it starts');
        const workers = await Promise.race([starting, sleep(START_ENDS_WITHIN_MS)]);
        await workers?.stop();
        process.exit(0); // what it waited for in vain would keep the process alive
      }
      const workers = await starting;
      logger.info('worker started', { queues: served });
      await Promise.race([workers.done, asked]);
      logger.info('worker finishes what is in flight');
      await workers.stop();
      await workers.done; // a worker that broke down makes the process fail
    });
}

/** How long a worker that is asked to stop while it starts may take to come up and end in order. */
const START_ENDS_WITHIN_MS = 5_000;

function queuesOf(names: string): TaskQueue[] {
  return names.split(',').map((name) => {
    const queue = TASK_QUEUES.find((known) => known === name.trim());
    if (queue === undefined)
      throw invalid('queues', `there is no task queue "${name}"; there are ${TASK_QUEUES.join(', ')}`);
    return queue;
  });
}
