import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { addCommand } from './command.ts';
import { untilAskedToStop } from './signals.ts';

export function addIngressCommand(program: Command): void {
  addCommand(program, 'ingress', 'take events over HTTP until SIGTERM or Ctrl-C, then finish the requests in flight')
    .option('--host <address>', 'listen to this address of the machine only', '0.0.0.0')
    .action(async ({ host }: { host: string }) => {
      const asked = untilAskedToStop();
      const config = loadConfig();
      // Heavy, and only this command needs them.
      const [{ createLogger }, { startIngressProcess }] = await Promise.all([
        import('../logging.ts'),
        import('../ingress/process.ts'),
      ]);
      const logger = createLogger(config.logLevel);
      const ingress = await startIngressProcess({ config, logger, host });
      logger.info('ingress started', { url: ingress.url });
      await asked;
      logger.info('ingress finishes what is in flight');
      await ingress.stop();
      process.exit(0); // connections on which Postgres never answered would keep the process alive
    });
}
