import type { Client } from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import { BATCH_SIZE } from '../domain/first-attempts.ts';
import type { OpenBatches } from '../egress/open-batches.ts';
import type { Logger } from '../logging.ts';
import { startBatchWorkflow } from '../temporal/first-attempts.ts';
import { isTemporalAway } from '../temporal/temporal-away.ts';

export interface StandbyOptions {
  temporal: Client;
  openBatches: OpenBatches;
  logger: Logger;
}

/** So few free places are left in the open batches when another is begun. */
const FEW_PLACES = 20;

/** Begins batches before they are needed: a delivery that finds no place waits for a workflow to be started. */
export class StandbyBatches {
  readonly #options: StandbyOptions;
  readonly #beginning = new Set<Promise<void>>();

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** So many deliveries of these subscriptions have just come; as many again are to find places. */
  follow({ deliveries, subscriptions }: { deliveries: number; subscriptions: { id: string; name: string }[] }): void {
    const { openBatches } = this.#options;
    if (deliveries === 0 || !openBatches.hasOpened) return;
    const missing = Math.max(FEW_PLACES, 2 * deliveries) - openBatches.ahead;
    const batches = Math.min(Math.ceil(missing / BATCH_SIZE), openBatches.room);
    for (let n = 0; n < batches; n += 1) {
      const beginning = this.#begin(subscriptions).finally(() => this.#beginning.delete(beginning));
      this.#beginning.add(beginning);
    }
  }

  /** Resolves when none is just being begun. */
  async settled(): Promise<void> {
    await Promise.all(this.#beginning);
  }

  async #begin(subscriptions: { id: string; name: string }[]): Promise<void> {
    const { temporal, openBatches, logger } = this.#options;
    const id = uuidv7();
    openBatches.expect(id, 0);
    try {
      await startBatchWorkflow(temporal, { id, deliveryIds: [], subscriptions });
    } catch (error) {
      // Whatever needs a place waits for the relay, which says so.
      if (!isTemporalAway(error)) logger.error('no batch could be begun', { problem: String(error) });
    }
  }
}
