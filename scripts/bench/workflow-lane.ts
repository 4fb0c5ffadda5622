import { sql } from 'kysely';
import { publish } from '../../src/bus/outbox.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { deliveryWorkflowId } from '../../src/domain/delivery.ts';
import { timesAtOnce } from './at-once.ts';
import type { Contender } from './contest.ts';
import { completedWorkflows, type Engine, untilCompleted } from './engine.ts';
import { PAYLOAD, TOPIC } from './http-job.ts';
import type { Receivers } from './receiver.ts';
import type { Starts, Variant } from './relay.ts';

export interface Lane extends Contender {
  /** How many events the history of the last delivery has. */
  historyEvents(): Promise<number>;
}

interface LaneOptions {
  db: ForgeflowDatabase;
  engine: Engine;
  receivers: Receivers;
  starts: Starts;
  publishesAtOnce: number;
}

/** Events published to one healthy subscription, until all has come, is written down, and its workflows have ended. */
export function workflowLane(variant: Variant, { db, engine, receivers, starts, publishesAtOnce }: LaneOptions): Lane {
  let lastEventId: string | undefined;
  return {
    name: variant.name,
    scale: 1,
    async run(amount) {
      starts.variant = variant;
      const before = await completedWorkflows(engine.client);
      await receivers.reset();
      const publishOne = async () => {
        lastEventId = (await publish(db, { topic: TOPIC, data: PAYLOAD, json: true })).eventId;
      };
      await timesAtOnce(amount, publishesAtOnce, publishOne);
      await receivers.received(amount);
      await untilCompleted(engine.client, before + amount);
    },
    check: () => checkAllDelivered(db),
    async historyEvents() {
      if (lastEventId === undefined) throw new Error('nothing was published yet');
      const { id } = await db
        .selectFrom('deliveries')
        .select('id')
        .where('event_id', '=', lastEventId)
        .executeTakeFirstOrThrow();
      const history = await engine.client.workflow.getHandle(deliveryWorkflowId(id)).fetchHistory();
      return history.events?.length ?? 0;
    },
  };
}

async function checkAllDelivered(db: ForgeflowDatabase): Promise<void> {
  const { rows } = await sql<{ others: number }>`
    select count(*)::int as others from deliveries where state <> 'delivered'
  `.execute(db);
  if (rows[0]?.others !== 0) throw new Error(`${rows[0]?.others ?? '?'} deliveries did not get through`);
}
