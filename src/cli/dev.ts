import type { Command } from 'commander';
import pc from 'picocolors';
import { loadConfig } from '../config.ts';
import type { DevAddresses } from '../dev/dev-system.ts';
import { addCommand, type CommonOptions } from './command.ts';
import { fields, print } from './output.ts';
import { untilAskedToStop } from './signals.ts';

export function addDevCommand(program: Command): void {
  addCommand(program, 'dev', 'everything on this machine: Postgres, Temporal with its Web UI, and a worker').action(
    async (options: CommonOptions) => {
      const asked = untilAskedToStop(); // from now on: a signal during the start must not leave half of it behind
      const { startDev } = await import('../dev/dev-system.ts'); // heavy, and only this command needs it
      const dev = await startDev(loadConfig());
      print({ ready: true, ...dev.addresses }, options, () => render(dev.addresses));
      await Promise.race([asked, dev.done]);
      process.stderr.write('stopping …\n');
      await dev.stop();
      await dev.done; // a worker that broke down makes the process fail
    },
  );
}

function render({ databaseUrl, temporalAddress, webUiUrl }: DevAddresses): string {
  return [
    pc.green(pc.bold('forgeflow is ready.')),
    '',
    fields([
      ['Temporal Web UI', webUiUrl ?? pc.dim('not ours')],
      ['Temporal', temporalAddress],
      ['Postgres', databaseUrl.replace(/:[^:@/]+@/, ':…@')],
    ]),
    '',
    'Other commands in this folder find it by themselves. Ctrl-C stops it and keeps its data.',
  ].join('\n');
}
