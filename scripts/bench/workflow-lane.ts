import { Client } from '@temporalio/client';
import { sql } from 'kysely';
import pLimit from 'p-limit';
import type { ClientContext } from '../../src/client/context.ts';
import { publish } from '../../src/client/publish.ts';
import { Subscriptions } from '../../src/client/subscriptions.ts';
import { deliveryWorkflowId } from '../../src/domain/delivery.ts';
import type { Contender } from './contest.ts';
import { completedWorkflows, type Engine, untilCompleted } from './engine.ts';
import { PAYLOAD, TOPIC } from './http-job.ts';
import { startFromOutbox, writeToOutbox } from './outbox.ts';
import type { Receiver } from './receiver.ts';

export interface Variant {
  name: string;
  /** A workflow of the bench instead of `deliverWebhook`. */
  workflowType?: string;
  eager?: boolean;
  /** Published by writing alone, and started by the worker: see outbox.ts. */
  outbox?: boolean;
}

export interface Lane extends Contender {
  /** How many events the history of the last delivery has. */
  historyEvents(): Promise<number>;
}

/** forgeflow's `publish`, for one healthy subscription, until all has come, is written down, and its workflows have ended. */
export function workflowLane(
  variant: Variant,
  {
    context: product,
    engine,
    receiver,
    publishesAtOnce,
  }: { context: ClientContext; engine: Engine; receiver: Receiver; publishesAtOnce: number },
): Lane {
  const context: ClientContext = { ...product, temporal: variantClient(engine, variant) };
  let lastEventId: string | undefined;
  return {
    name: variant.name,
    scale: 1,
    async run(amount) {
      const limit = pLimit(publishesAtOnce);
      const before = await completedWorkflows(engine.client);
      await receiver.reset();
      const publishOne = async () => {
        lastEventId = variant.outbox
          ? await writeToOutbox(context.db, TOPIC, PAYLOAD)
          : (await publish(context, { topic: TOPIC, data: PAYLOAD, json: true })).eventId;
      };
      const publishing = Array.from({ length: amount }, () => limit(publishOne));
      if (variant.outbox) await startFromOutbox(context, amount, publishesAtOnce);
      await Promise.all(publishing);
      await receiver.received(amount);
      await untilCompleted(engine.client, before + amount);
      await checkAllDelivered(context);
    },
    async historyEvents() {
      if (lastEventId === undefined) throw new Error('nothing was published yet');
      const { id } = await context.db
        .selectFrom('deliveries')
        .select('id')
        .where('event_id', '=', lastEventId)
        .executeTakeFirstOrThrow();
      const history = await engine.client.workflow.getHandle(deliveryWorkflowId(id)).fetchHistory();
      return history.events?.length ?? 0;
    },
  };
}

/** One subscription that gets it all; how the lane is told where the receiver is. */
export async function subscribe(context: ClientContext, url: string): Promise<void> {
  await new Subscriptions(context).add({ name: 'bench', url, patterns: [TOPIC] });
}

/** forgeflow's own client; a variant changes its starts on their way out, so that all the rest is the product's code. */
function variantClient(engine: Engine, { workflowType, eager = false }: Variant): Client {
  const { connection, options } = eager ? engine.clientOfWorker : engine.client;
  return new Client({
    connection,
    namespace: options.namespace,
    interceptors: {
      workflow: [
        {
          startWithDetails: (input, next) =>
            next({
              ...input,
              workflowType: workflowType ?? input.workflowType,
              options: { ...input.options, ...(eager ? { requestEagerStart: true } : {}) },
            }),
        },
      ],
    },
  });
}

async function checkAllDelivered({ db }: ClientContext): Promise<void> {
  const { rows } = await sql<{ others: number }>`
    select count(*)::int as others from deliveries where state <> 'delivered'
  `.execute(db);
  if (rows[0]?.others !== 0) throw new Error(`${rows[0]?.others ?? '?'} deliveries did not get through`);
}
