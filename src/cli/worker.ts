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
      const config = loadConfig();
      // Heavy, and only this command needs them.
      const [{ createLogger }, { startWorkerProcess }] = await Promise.all([
        import('../logging.ts'),
        import('../worker.ts'),
      ]);
      const logger = createLogger(config.logLevel);
      const served = queuesOf(queues);
      const workers = await startWorkerProcess({ config, queues: served, logger });
      logger.info('worker started', { queues: served });
      await Promise.race([workers.done, untilAskedToStop()]);
      logger.info('worker finishes what is in flight');
      await workers.stop();
      await workers.done; // a worker that broke down makes the process fail
    });
}

function queuesOf(names: string): TaskQueue[] {
  return names.split(',').map((name) => {
    const queue = TASK_QUEUES.find((known) => known === name.trim());
    if (queue === undefined)
      throw invalid('queues', `there is no task queue "${name}"; there are ${TASK_QUEUES.join(', ')}`);
    return queue;
  });
}
