// Records histories of all workflows, as they are today, into test/histories/, where the replay test finds them.
// Histories that are there already stay: they stand for workflows that are under way while a new version is installed.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { execa } from 'execa';
import { deliveryScenarios } from '../test/support/delivery-histories.ts';
import { type Environment, startEnvironment } from '../test/support/environment.ts';
import { gitlabScenarios } from '../test/support/gitlab-histories.ts';
import { type Gitlab, startGitlab } from '../test/support/gitlab/index.ts';
import type { Execution, Scenarios } from '../test/support/history-scenario.ts';
import { jobScenarios } from '../test/support/job-histories.ts';
import { jobScript } from '../test/support/job-script.ts';
import { startJobWorkers } from '../test/support/job-workers.ts';
import { scheduledScenarios } from '../test/support/scheduled-histories.ts';
import { startSharedServices } from '../test/support/services.ts';
import { trackingScenarios } from '../test/support/tracking-histories.ts';

const DIRECTORY = new URL('../test/histories/', import.meta.url);

/** So many events, and the server advises to continue as new: enough for a history in which that is done. */
const LONG_HISTORY = 'limit.historyCount.suggestContinueAsNew=40';

/** In the order in which they are played: on one stage, so that each finds what those before it have left. */
const scenarios: Scenarios<Environment & { gitlab: Gitlab }> = {
  ...deliveryScenarios,
  ...gitlabScenarios,
  ...scheduledScenarios,
  ...trackingScenarios,
};

/** What `temporal workflow show` gives, one event a line, and without the name of the machine. */
async function write(file: URL, { workflowId, runId }: Execution, cli: string, address: string): Promise<number> {
  const show = ['workflow', 'show', '--workflow-id', workflowId, '--address', address, '--output', 'json'];
  if (runId !== undefined) show.push('--run-id', runId);
  const { stdout } = await execa(cli, show);
  const { events } = JSON.parse(stdout, withoutMachine) as { events: unknown[] };
  writeFileSync(file, `{"events":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`);
  return events.length;
}

/** Identities, the queues that a worker has for itself, and the places of its files. */
function withoutMachine(key: string, value: unknown): unknown {
  if (key === 'identity') return 'recorder';
  if (key === 'stackTrace') return '';
  return key === 'name' && typeof value === 'string' ? value.replace(`@${hostname()}`, '@recorder') : value;
}

mkdirSync(DIRECTORY, { recursive: true });
const wanted = missing(scenarios);
const wantedJobs = missing(jobScenarios);
if (wanted.length + wantedJobs.length === 0)
  console.log('All histories are there; delete, or rename, those to be recorded anew.');
else await record();

function missing<Scenario>(all: Record<string, Scenario>): [string, Scenario][] {
  return Object.entries(all).filter(([name]) => !existsSync(new URL(`${name}.json`, DIRECTORY)));
}

async function record(): Promise<void> {
  const services = await startSharedServices();
  const gitlab = await startGitlab();
  const settings = { GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.token, INGRESS_URL: 'https://hooks.example.com' };
  // Requests that are held, for a batch to be cancelled meanwhile, are held for longer than its workflow task lasts.
  const options = { services, settings, temporalConfig: [LONG_HISTORY], timeoutMs: 10_000 };
  try {
    if (wanted.length > 0) {
      const environment = await startEnvironment(options);
      await recordEach(wanted, { ...environment, gitlab }).finally(() => environment.stop());
    }
    if (wantedJobs.length > 0) {
      const environment = await startEnvironment({ ...options, withoutWorkers: true });
      const script = jobScript();
      const { workflowBundle } = services;
      const workers = await startJobWorkers(environment.config, { workflowBundle, handle: script.handle });
      await recordEach(wantedJobs, { ...environment, script }).finally(async () => {
        await workers.stop();
        await environment.stop();
      });
    }
  } finally {
    await gitlab.close();
    await services.stop();
  }

  async function recordEach<S extends Environment>(
    named: [string, (stage: S) => Promise<Execution>][],
    stage: S,
  ): Promise<void> {
    for (const [name, scenario] of named) {
      const file = new URL(`${name}.json`, DIRECTORY);
      const events = await write(file, await scenario(stage), services.temporalCli, stage.temporal.address);
      console.log(`${name}.json: ${events} events`);
    }
  }
}
