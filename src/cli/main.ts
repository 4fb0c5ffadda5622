import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { addCommitCommands } from './commits.ts';
import { addCoverageCommands } from './coverage.ts';
import { addDeliveryCommands } from './deliveries.ts';
import { addDevCommand } from './dev.ts';
import { explain } from './errors.ts';
import { addGitlabCommands } from './gitlab.ts';
import { addIngressCommand } from './ingress.ts';
import { addJobCommands } from './jobs.ts';
import { addMigrateCommand } from './migrate.ts';
import { addPublishCommand } from './publish.ts';
import { addRepositoryCommands } from './repositories.ts';
import { addScheduleCommands } from './schedules.ts';
import { addSearchCommand } from './search.ts';
import { addSecretCommands } from './secrets.ts';
import { addStatusCommand } from './status.ts';
import { addSubscriptionCommands } from './subscriptions.ts';
import { addWorkerCommand } from './worker.ts';

const program = new Command('forgeflow')
  .description('Durable webhooks and repository upkeep for GitLab')
  .version(VERSION)
  .showHelpAfterError('(--help shows what there is)')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();

addDevCommand(program);
addWorkerCommand(program);
addIngressCommand(program);
addMigrateCommand(program);
addSubscriptionCommands(program);
addPublishCommand(program);
addDeliveryCommands(program);
addGitlabCommands(program);
addRepositoryCommands(program);
addCommitCommands(program);
addJobCommands(program);
addCoverageCommands(program);
addSecretCommands(program);
addSearchCommand(program);
addScheduleCommands(program);
addStatusCommand(program);

for (const command of descendants(program)) command.exitOverride();

// Piping into `head` closes stdout early; that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explain(error, process.argv.includes('--debug'));
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}
