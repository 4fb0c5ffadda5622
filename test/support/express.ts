import type { WorkflowExecutionInfo } from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import type {
  Delivery,
  DeliveryWithAttempts,
  ForgeflowClient,
  NewSubscriptionInput,
  SubscriptionWithSecret,
} from '../../src/index.ts';
import { handleOf, type StartedDelivery, subscribe, untilDelivery } from './deliveries.ts';
import type { Environment } from './environment.ts';
import { eventually } from './eventually.ts';

/** What these helpers need of an {@link Environment}. */
type Parts = Pick<Environment, 'forgeflow' | 'database'>;

/** A subscription in the express lane (or the one given) that had a success before, and so has room for whole batches. */
export async function subscribeExpress(
  { forgeflow, database }: Parts,
  url: string,
  input: Partial<NewSubscriptionInput> = {},
): Promise<SubscriptionWithSecret> {
  const subscription = await subscribe(forgeflow, url, { lane: 'express', ...input });
  await database.db
    .updateTable('subscriptions')
    .set({ last_success_at: new Date(Date.now() - 60_000) })
    .where('id', '=', subscription.id)
    .execute();
  return subscription;
}

/** Publishes all of it in one transaction, so that it can go out together. @returns the deliveries, in the order of the data */
export async function publishTogether(
  { forgeflow, database }: Parts,
  topics: { subscription: SubscriptionWithSecret; data: unknown }[],
): Promise<StartedDelivery[]> {
  const events = topics.map(({ subscription, data }) => ({
    id: uuidv7(),
    topic: subscription.name,
    payload: JSON.stringify(data),
  }));
  await database.db.insertInto('events').values(events).execute();
  const ids = await eventually(async () => {
    const rows = await database.db
      .selectFrom('deliveries')
      .select(['id', 'event_id'])
      .where(
        'event_id',
        'in',
        events.map(({ id }) => id),
      )
      .execute();
    if (rows.length < events.length) throw new Error(`${rows.length} of ${events.length} deliveries were made`);
    return new Map(rows.map((row) => [row.event_id, row.id]));
  });
  return events.map(({ id: eventId, topic }, at) => {
    const id = ids.get(eventId)!;
    return { id, topic, subscription: topics[at]!.subscription, handle: handleOf(forgeflow, id) };
  });
}

/** So many deliveries to one subscription, with the numbers from 0 on. */
export async function publishNumbers(
  parts: Parts,
  subscription: SubscriptionWithSecret,
  count: number,
): Promise<StartedDelivery[]> {
  return publishTogether(
    parts,
    Array.from({ length: count }, (_, data) => ({ subscription, data })),
  );
}

/** A delivery that fails at once, in a batch, and whose own workflow then sleeps until its second attempt. */
export async function expressSleeper(
  parts: Parts,
  url: string,
  input: Partial<NewSubscriptionInput> = {},
): Promise<StartedDelivery> {
  const [delivery] = await publishNumbers(parts, await subscribeExpress(parts, url, input), 1);
  await untilContinued(parts, [delivery!]);
  return delivery!;
}

/** Waits until each has a workflow of its own, and Postgres says so. */
export async function untilContinued({ database }: Parts, deliveries: StartedDelivery[]): Promise<void> {
  const ids = deliveries.map(({ id }) => id);
  await eventually(async () => {
    const rows = await database.db
      .selectFrom('deliveries')
      .select(['id', 'carrier', 'next_attempt_at', 'started_at'])
      .where('id', 'in', ids)
      .execute();
    const sleeping = rows.filter((row) => row.carrier === row.id && row.next_attempt_at && row.started_at);
    if (sleeping.length < ids.length)
      throw new Error(`${sleeping.length} of ${ids.length} have workflows of their own`);
  });
}

/** All deliveries of a subscription. */
export async function deliveriesOf(forgeflow: ForgeflowClient, name: string): Promise<Delivery[]> {
  return forgeflow.deliveries.list({ subscription: name, limit: 1_000 });
}

/** Waits until so many deliveries of a subscription are in that state. */
export async function untilCount(
  forgeflow: ForgeflowClient,
  name: string,
  state: Delivery['state'],
  count: number,
  timeoutMs = 20_000,
): Promise<void> {
  await eventually(async () => {
    const all = await deliveriesOf(forgeflow, name);
    const found = all.filter((one) => one.state === state).length;
    if (found !== count)
      throw new Error(`${found} of ${all.length} deliveries to "${name}" are ${state}, not ${count}`);
  }, timeoutMs);
}

/** Waits until a delivery is over. */
export async function untilOver(forgeflow: ForgeflowClient, { id }: { id: string }): Promise<DeliveryWithAttempts> {
  return untilDelivery(forgeflow, id, ({ pending }) => !pending);
}

/** The batches that went to a subscription, as the visibility store, which lags a little, knows them. */
export async function batchesTo(forgeflow: ForgeflowClient, name: string): Promise<WorkflowExecutionInfo[]> {
  const query = `WorkflowType = 'deliverFirstAttempts' AND forgeflowSubscriptions = '${name}'`;
  const batches: WorkflowExecutionInfo[] = [];
  for await (const batch of forgeflow.temporal.workflow.list({ query })) batches.push(batch);
  return batches;
}

/** Waits until all batches to a subscription have ended. */
export async function untilBatchesEnded(forgeflow: ForgeflowClient, name: string): Promise<WorkflowExecutionInfo[]> {
  return eventually(async () => {
    const batches = await batchesTo(forgeflow, name);
    if (batches.length === 0) throw new Error('there is no batch');
    const running = batches.filter(({ status }) => status.name === 'RUNNING');
    if (running.length > 0) throw new Error(`${running[0]!.workflowId} is still running`);
    return batches;
  });
}

/** Whether a delivery has, or had, a workflow of its own. */
export async function hasOwnWorkflow({ handle }: StartedDelivery): Promise<boolean> {
  return handle.describe().then(
    () => true,
    () => false,
  );
}
