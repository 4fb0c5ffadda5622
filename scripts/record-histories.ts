// Records histories of all workflows, as they are today, into test/histories/, where the replay test finds them.
// Histories that are there already stay: they stand for workflows that are under way while a new version is installed.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { execa } from 'execa';
import { fastForward } from '../src/dev/fast-forward.ts';
import { cancelDeliveryUpdate } from '../workflows/messages.ts';
import {
  DEAD_URL,
  deliverTo,
  sleepingDelivery,
  subscribe,
  untilClosed,
  untilDelivery,
} from '../test/support/deliveries.ts';
import { type Environment, startEnvironment } from '../test/support/environment.ts';
import { startReceiver } from '../test/support/receiver.ts';
import { startSharedServices } from '../test/support/services.ts';

const HOUR = 3_600_000;
const DIRECTORY = new URL('../test/histories/', import.meta.url);

/** Each makes a workflow and brings it to its end. */
const scenarios: Record<string, (environment: Environment) => Promise<WorkflowHandle>> = {
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
};

/** What `temporal workflow show` gives, one event a line, and without the name of the machine. */
async function write(file: URL, { workflowId }: WorkflowHandle, cli: string, address: string): Promise<number> {
  const show = ['workflow', 'show', '--workflow-id', workflowId, '--address', address, '--output', 'json'];
  const { stdout } = await execa(cli, show);
  const { events } = JSON.parse(stdout, (key, value: unknown) => (key === 'identity' ? 'recorder' : value)) as {
    events: unknown[];
  };
  writeFileSync(file, `{"events":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`);
  return events.length;
}

mkdirSync(DIRECTORY, { recursive: true });
const missing = Object.entries(scenarios).filter(([name]) => !existsSync(new URL(`${name}.json`, DIRECTORY)));
if (missing.length === 0) console.log('All histories are there; delete, or rename, those to be recorded anew.');
else await record(missing);

async function record(wanted: typeof missing): Promise<void> {
  const services = await startSharedServices();
  try {
    const environment = await startEnvironment({ services });
    try {
      for (const [name, scenario] of wanted) {
        const file = new URL(`${name}.json`, DIRECTORY);
        const handle = await scenario(environment);
        const events = await write(file, handle, services.temporalCli, environment.temporal.address);
        console.log(`${name}.json: ${events} events`);
      }
    } finally {
      await environment.stop();
    }
  } finally {
    await services.stop();
  }
}
