import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { timesAtOnce } from './at-once.ts';
import type { Contender } from './contest.ts';
import type { DeliveryStage } from './delivery-stage.ts';
import { PAYLOAD } from './http-job.ts';

/** With so many times the events of the workflow lane, its rounds are about as long. */
const SCALE = 60;

/**
 * Events published to one healthy subscription of the express lane, until all has come and is written down. Its batches, a few, are
 * open for a moment longer.
 */
export function expressLane(
  stage: DeliveryStage,
  { topic, publishesAtOnce }: { topic: string; publishesAtOnce: number },
): Contender {
  const { db, engine, receivers, forgeflow } = stage;
  return {
    name: 'forgeflow express lane',
    scale: SCALE,
    async run(amount) {
      await receivers.reset();
      const publishOne = () => forgeflow.publish({ topic, data: PAYLOAD, json: true });
      await timesAtOnce(amount, publishesAtOnce, publishOne);
      await receivers.received(amount);
      await untilNone(async () => {
        const { rows } = await sql<{ count: number }>`
          select count(*)::int as count from deliveries where state = 'pending'
        `.execute(db);
        return rows[0]?.count ?? 0;
      });
    },
    async check() {
      const running = `WorkflowType = 'deliverFirstAttempts' AND ExecutionStatus = 'Running'`;
      await untilNone(async () => (await engine.client.workflow.count(running)).count);
      await checkAllWrittenDown(stage, topic);
    },
  };
}

async function untilNone(count: () => Promise<number>): Promise<void> {
  while ((await count()) > 0) await sleep(10);
}

/** @throws Error when a delivery did not get through at its first attempt, or that has no record */
async function checkAllWrittenDown({ db }: DeliveryStage, topic: string): Promise<void> {
  const { rows } = await sql<{ others: number }>`
    select count(*)::int as others
    from deliveries join events on events.id = event_id
      left join attempts on delivery_id = deliveries.id and status_code = 204
    where topic = ${topic} and (state <> 'delivered' or attempt_count <> 1 or attempts.number is distinct from 1)
  `.execute(db);
  if (rows[0]?.others !== 0)
    throw new Error(`${rows[0]?.others ?? '?'} deliveries are not written down as they should`);
}
