import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type {
  Delivery,
  DeliveryWithAttempts,
  ForgeflowClient,
  NewSubscriptionInput,
  SubscriptionWithSecret,
} from '../../src/index.ts';
import { deliveryWorkflowId } from '../../src/domain/delivery.ts';
import type { deliverWebhook } from '../../workflows/deliver-webhook.ts';
import type { DeliveryStatus } from '../../workflows/messages.ts';
import type { TestDatabase } from './database.ts';
import { eventually } from './eventually.ts';

/** Nothing ever listens there: connections are refused at once. */
export const DEAD_URL = 'http://127.0.0.1:1/hook';

export type DeliveryHandle = WorkflowHandle<typeof deliverWebhook>;

export interface StartedDelivery {
  id: string;
  topic: string;
  subscription: SubscriptionWithSecret;
  handle: DeliveryHandle;
}

/** A subscription with a name of its own to the topic of that name. */
export async function subscribe(
  forgeflow: ForgeflowClient,
  url: string,
  input: Partial<NewSubscriptionInput> = {},
): Promise<SubscriptionWithSecret> {
  const name = `s${randomBytes(4).toString('hex')}`;
  return forgeflow.subscriptions.add({ name, url, patterns: [name], ...input });
}

/** Publishes to a subscription made by {@link subscribe}. */
export async function publishTo(
  forgeflow: ForgeflowClient,
  subscription: SubscriptionWithSecret,
  data: unknown = { hello: 'world' },
): Promise<StartedDelivery> {
  const topic = subscription.name;
  const { eventId } = await forgeflow.publish({ topic, data });
  const delivery = await deliveryOf(forgeflow, eventId, subscription.name);
  return { id: delivery.id, topic, subscription, handle: handleOf(forgeflow, delivery.id) };
}

/** Waits for a relay to make the delivery of an event. */
export async function deliveryOf(forgeflow: ForgeflowClient, eventId: string, subscription: string): Promise<Delivery> {
  return eventually(async () => {
    const delivery = (await forgeflow.deliveries.list({ subscription })).find((one) => one.eventId === eventId);
    if (delivery === undefined) throw new Error('there is no delivery of the event');
    return delivery;
  });
}

/** Waits until an event has all the deliveries that it will have. */
export async function untilDispatched({ db }: TestDatabase, eventId: string): Promise<void> {
  await eventually(async () => {
    const { dispatched_at } = await db
      .selectFrom('events')
      .select('dispatched_at')
      .where('id', '=', eventId)
      .executeTakeFirstOrThrow();
    if (dispatched_at === null) throw new Error('the event is not dispatched');
  });
}

/** A delivery to a subscription of its own. */
export async function deliverTo(
  forgeflow: ForgeflowClient,
  url: string,
  input: Partial<NewSubscriptionInput> & { data?: unknown } = {},
): Promise<StartedDelivery> {
  const { data, ...subscription } = input;
  return publishTo(forgeflow, await subscribe(forgeflow, url, subscription), data);
}

/** A delivery to a dead receiver that sleeps after its first attempt. */
export async function sleepingDelivery(
  forgeflow: ForgeflowClient,
  input: Parameters<typeof deliverTo>[2] = {},
): Promise<StartedDelivery> {
  const started = await deliverTo(forgeflow, DEAD_URL, input);
  await attempted(started, 1);
  return started;
}

export function handleOf(forgeflow: ForgeflowClient, deliveryId: string): DeliveryHandle {
  return forgeflow.temporal.workflow.getHandle<typeof deliverWebhook>(deliveryWorkflowId(deliveryId));
}

/** Waits until the workflow itself knows of so many attempts. */
export async function attempted({ handle }: StartedDelivery, attempts: number): Promise<void> {
  await eventually(async () => {
    // At first there is no workflow: a relay starts it.
    const status = await handle.query<{ attemptCount: number }>('deliveryStatus');
    if (status.attemptCount < attempts) throw new Error(`${status.attemptCount} of ${attempts} attempts were made`);
  });
}

/** Waits until the delivery is as wanted, and shows it. */
export async function untilDelivery(
  forgeflow: ForgeflowClient,
  id: string,
  wanted: (delivery: DeliveryWithAttempts) => boolean,
  timeoutMs = 20_000,
): Promise<DeliveryWithAttempts> {
  return eventually(async () => {
    const delivery = await forgeflow.deliveries.show(id);
    if (!wanted(delivery)) throw new Error(`the delivery does not become as wanted: ${JSON.stringify(delivery)}`);
    return delivery;
  }, timeoutMs);
}

/** What a delivery's workflow came to. At first there is none: a relay starts it. */
export async function resultOf({ handle }: Pick<StartedDelivery, 'handle'>): Promise<DeliveryStatus> {
  await eventually(() => handle.describe());
  return handle.result();
}

/** Waits until the workflow has ended. @returns how: `COMPLETED`, `FAILED` … */
export async function untilClosed({ handle }: Pick<StartedDelivery, 'handle'>): Promise<string> {
  return eventually(async () => {
    const { status } = await handle.describe();
    if (status.name === 'RUNNING') throw new Error('the workflow is still running');
    return status.name;
  });
}
