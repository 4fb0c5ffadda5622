import type { Command } from 'commander';
import pc from 'picocolors';
import { loadConfig } from '../config.ts';
import type { DevSystem } from '../dev/dev-system.ts';
import { addCommand, type CommonOptions } from './command.ts';
import { fields, print } from './output.ts';
import { untilAskedToStop } from './signals.ts';

export function addDevCommand(program: Command): void {
  addCommand(
    program,
    'dev',
    'everything on this machine: Postgres, Temporal with its Web UI, a worker and the ingress',
  ).action(async (options: CommonOptions) => {
    const asked = untilAskedToStop(); // from now on: a signal during the start must not leave half of it behind
    const { startDev } = await import('../dev/dev-system.ts'); // heavy, and only this command needs it
    const dev = await startDev(loadConfig());
    print({ ready: true, ...dev.addresses }, options, () => render(dev));
    await Promise.race([asked, dev.done]);
    process.stderr.write('stopping …\n');
    await dev.stop();
    await dev.done; // a worker that broke down makes the process fail
  });
}

function render({ addresses, ingressTokenFrom }: DevSystem): string {
  const { databaseUrl, temporalAddress, webUiUrl, ingressUrl } = addresses;
  return [
    pc.green(pc.bold('forgeflow is ready.')),
    '',
    fields([
      ['Temporal Web UI', webUiUrl ?? pc.dim('not ours')],
      ['Temporal', temporalAddress],
      ['Ingress', `${ingressUrl} ${pc.dim(`(its token: ${ingressTokenFrom})`)}`],
      ['Postgres', databaseUrl.replace(/:[^:@/]+@/, ':…@')],
    ]),
    '',
    'Other commands in this folder find it by themselves. Ctrl-C stops it and keeps its data.',
  ].join('\n');
}
