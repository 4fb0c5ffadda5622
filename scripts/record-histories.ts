// Records histories of all workflows, as they are today, into test/histories/, where the replay test finds them.
// Histories that are there already stay: they stand for workflows that are under way while a new version is installed.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { execa } from 'execa';
import { fastForward } from '../src/dev/fast-forward.ts';
import { cancelDeliveryUpdate } from '../workflows/messages.ts';
import type { requestUpkeep } from '../workflows/request-upkeep.ts';
import {
  DEAD_URL,
  deliverTo,
  sleepingDelivery,
  subscribe,
  untilClosed,
  untilDelivery,
} from '../test/support/deliveries.ts';
import { type Environment, startEnvironment } from '../test/support/environment.ts';
import { eventually } from '../test/support/eventually.ts';
import {
  batchesTo,
  expressSleeper,
  publishNumbers,
  subscribeExpress,
  untilBatchesEnded,
  untilCount,
} from '../test/support/express.ts';
import { startHoldingReceiver } from '../test/support/holding-receiver.ts';
import { type Gitlab, startGitlab } from '../test/support/gitlab/index.ts';
import { jobScenarios } from '../test/support/job-histories.ts';
import { jobScript } from '../test/support/job-script.ts';
import { startJobWorkers } from '../test/support/job-workers.ts';
import { startReceiver } from '../test/support/receiver.ts';
import { startSharedServices } from '../test/support/services.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DIRECTORY = new URL('../test/histories/', import.meta.url);

interface Stage extends Environment {
  gitlab: Gitlab;
}

interface Execution {
  workflowId: string;
  /** Of several executions under that id, the one that is meant; the last when left out. */
  runId?: string;
}

/** So many events, and the server advises to continue as new: enough for a history in which that is done. */
const LONG_HISTORY = 'limit.historyCount.suggestContinueAsNew=40';

/** Each makes a workflow and brings it to its end. */
const scenarios: Record<string, (environment: Stage) => Promise<Execution>> = {
  async 'deliver-webhook-at-once'({ forgeflow }) {
    const receiver = await startReceiver();
    const { handle } = await deliverTo(forgeflow, receiver.url);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-retries'({ forgeflow }) {
    const receiver = await startReceiver();
    const { handle, subscription } = await sleepingDelivery(forgeflow);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-failed-after-24-hours'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await fastForward(forgeflow.temporal, handle.workflowId, 25 * HOUR);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-cancelled-by-update'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await handle.executeUpdate(cancelDeliveryUpdate);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-cancelled-by-temporal'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await handle.cancel();
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-redelivered'({ forgeflow }) {
    const { id, handle } = await sleepingDelivery(forgeflow);
    await forgeflow.deliveries.cancel(id);
    await untilClosed({ handle });
    await forgeflow.deliveries.redeliver(id);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await forgeflow.deliveries.retry(id);
    await fastForward(forgeflow.temporal, handle.workflowId, 25 * HOUR);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-deactivated'({ forgeflow }) {
    const { handle, subscription } = await sleepingDelivery(forgeflow);
    await forgeflow.subscriptions.pause(subscription.name);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-held-and-released'({ forgeflow, database }) {
    const receiver = await startReceiver();
    const delivery = await sleepingDelivery(forgeflow);
    const { id, handle, subscription } = delivery;
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
    await database.db
      .updateTable('subscriptions')
      .set({ state: 'tripped', tripped_at: new Date(), next_probe_at: new Date(Date.now() + 24 * HOUR) })
      .where('name', '=', subscription.name)
      .execute();
    await fastForward(forgeflow.temporal, handle.workflowId, HOUR);
    await untilDelivery(forgeflow, id, ({ nextAttemptAt }) => nextAttemptAt === null);
    await forgeflow.subscriptions.enable(subscription.name);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-a-batch'(environment) {
    const receiver = await startReceiver({ answer: (_request, index) => (index === 0 ? 500 : 200) });
    const { handle } = await expressSleeper(environment, receiver.url);
    await fastForward(environment.forgeflow.temporal, handle.workflowId, 6 * MINUTE);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-a-batch-cancelled'(environment) {
    const { id, handle } = await expressSleeper(environment, DEAD_URL);
    await environment.forgeflow.deliveries.cancel(id);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-first-attempts'(environment) {
    const receiver = await startReceiver({ answer: ({ rawBody }) => (rawBody.toString() === '1' ? 500 : 200) });
    const subscription = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, subscription, 3);
    const [batch] = await untilBatchesEnded(environment.forgeflow, subscription.name);
    await receiver.close();
    return batch!;
  },
  async 'deliver-first-attempts-cancelled-by-temporal'(environment) {
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, subscription, 20);
    await receiver.waitForRequests(1);
    const [batch] = await eventually(async () => {
      const batches = await batchesTo(environment.forgeflow, subscription.name);
      if (batches.length === 0) throw new Error('there is no batch');
      return batches;
    });
    await environment.forgeflow.temporal.workflow.getHandle(batch!.workflowId).cancel();
    await new Promise((resolve) => setTimeout(resolve, 6_000)); // it hears of that when its task is renewed
    receiver.letGo(200);
    await untilCount(environment.forgeflow, subscription.name, 'delivered', 20);
    await untilBatchesEnded(environment.forgeflow, subscription.name);
    await receiver.close();
    return batch!;
  },
  async 'test-subscription'({ forgeflow }) {
    const { name } = await subscribe(forgeflow, DEAD_URL);
    await forgeflow.subscriptions.test(name);
    for await (const { workflowId } of forgeflow.temporal.workflow.list({
      query: `WorkflowType = 'testSubscription' AND forgeflowSubscription = '${name}'`,
    })) {
      return forgeflow.temporal.workflow.getHandle(workflowId);
    }
    throw new Error('the test left no workflow');
  },
  async 'install-gitlab-webhooks'({ forgeflow, gitlab }) {
    gitlab.addProjects(3);
    return { workflowId: await workflowOf(forgeflow, await forgeflow.installWebhooks()) };
  },
  async 'install-gitlab-webhooks-rate-limited'({ forgeflow, gitlab }) {
    gitlab.addProjects(5, gitlab.root, 'limited');
    gitlab.rateLimit.refuse({ at: 10, forSeconds: 60 });
    const result = await forgeflow.installWebhooks();
    gitlab.rateLimit.allow();
    return { workflowId: await workflowOf(forgeflow, result) };
  },
  async 'install-gitlab-webhooks-continued-as-new'({ forgeflow, gitlab }) {
    gitlab.addProjects(300, gitlab.root, 'many');
    const result = await forgeflow.installWebhooks();
    return { workflowId: await workflowOf(forgeflow, result), runId: result.runId };
  },
  async 'install-gitlab-webhooks-of-one-repository'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'alone' });
    return { workflowId: await workflowOf(forgeflow, await forgeflow.installWebhooks({ repository: path })) };
  },
  async 'install-gitlab-webhooks-failed'({ forgeflow }) {
    await forgeflow.installWebhooks({ repository: 'acme/nothing' }).catch(() => undefined);
    return { workflowId: 'installGitLabWebhooks/repository/acme/nothing' };
  },
  async 'sync-gitlab-repositories'({ forgeflow }) {
    await forgeflow.gitlab.sync();
    return { workflowId: 'syncGitLabRepositories' };
  },
  async 'request-upkeep'({ forgeflow }) {
    const handle = await forgeflow.temporal.workflow.start<typeof requestUpkeep>('requestUpkeep', {
      workflowId: 'upkeep',
      taskQueue: 'forgeflow',
      args: [],
    });
    await handle.result();
    return handle;
  },
  async 'sweep-deliveries'({ forgeflow, database }) {
    const receiver = await startReceiver();
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    await untilClosed({ handle });
    await receiver.close();
    const date_created = new Date(Date.now() - 31 * 24 * HOUR);
    await database.db.updateTable('deliveries').set({ date_created }).where('id', '=', id).execute();
    await forgeflow.temporal.workflow.execute('sweepDeliveries', {
      workflowId: 'sweepDeliveries',
      taskQueue: 'forgeflow',
      staticSummary: 'deliveries and events older than their retention',
    });
    return { workflowId: 'sweepDeliveries' };
  },
  async 'track-repository'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'tracked' });
    await forgeflow.repositories.add(path);
    return { workflowId: `trackRepository/${path}` };
  },
  async 'track-repository-rate-limited'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'later' });
    gitlab.rateLimit.refuse({ forSeconds: 60 });
    await forgeflow.repositories.add(path, { requiredApprovals: 2 }).catch(() => undefined);
    gitlab.rateLimit.allow();
    return { workflowId: `trackRepository/${path}?required_approvals=2` };
  },
};

async function workflowOf({ temporal }: Environment['forgeflow'], { runId }: { runId: string }): Promise<string> {
  for (;;) {
    for await (const { workflowId } of temporal.workflow.list({ query: `RunId = '${runId}'` })) return workflowId;
    await new Promise((resolve) => setTimeout(resolve, 100)); // the list lags a little
  }
}

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
