import { CancelledFailure, Context } from '@temporalio/activity';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import {
  deleteOldDeliveries,
  deleteOldEvents,
  FROM_THE_OLDEST,
  type SweptChunk,
  type SweptTo,
} from '../src/database/retention.ts';
import { retentionCutoff } from '../src/domain/retention.ts';
import { sweepRetry } from './failures.ts';

export interface RetentionDependencies {
  db: ForgeflowDatabase;
  /** What is over is kept for so many days. */
  retentionDays: number;
}

/** What a sweep has deleted. */
export interface Sweep {
  deliveries: number;
  events: number;
  /** Before when; ISO 8601. */
  cutoff: string;
}

export type Retention = ReturnType<typeof createRetention>;

/** Of one transaction: it takes some hundredths of a second, so nobody who waits for its locks notices. */
const CHUNK = 500;

/** How far it had come, for whoever takes over. Only the counts: what was deleted is not found again anyhow. */
type Progress = Pick<Sweep, 'deliveries' | 'events'>;

export function createRetention({ db, retentionDays }: RetentionDependencies, chunk = CHUNK) {
  return {
    /**
     * Deletes deliveries that are over and older than the retention, then events that none of them needs any more, chunk after
     * chunk. Any number of sweeps may run at once, and one may be broken off anywhere.
     * @param at the workflow's clock, ISO 8601
     */
    async sweepOldDeliveries(at: string): Promise<Sweep> {
      const context = Context.current();
      const cutoff = new Date(retentionCutoff(Date.parse(at), retentionDays));
      const progress: Progress = {
        ...{ deliveries: 0, events: 0 },
        ...(context.info.heartbeatDetails as Progress | undefined),
      };

      async function sweep(what: keyof Progress, deleteChunk: typeof deleteOldDeliveries): Promise<void> {
        for (let next: SweptTo | null = FROM_THE_OLDEST; next !== null;) {
          context.cancellationSignal.throwIfAborted();
          const swept: SweptChunk = await deleteChunk(db, cutoff, next, chunk);
          progress[what] += swept.deleted;
          context.heartbeat({ ...progress });
          next = swept.next;
        }
      }

      try {
        await sweep('deliveries', deleteOldDeliveries);
        await sweep('events', deleteOldEvents);
      } catch (error) {
        // Cancelled is only what somebody wanted cancelled; what a worker leaves that stops, another one takes over.
        if (error instanceof CancelledFailure && context.cancellationDetails?.cancelRequested) throw error;
        throw sweepRetry(error);
      }
      const result: Sweep = { ...progress, cutoff: cutoff.toISOString() };
      const isWorthTelling = result.deliveries + result.events > 0;
      context.log[isWorthTelling ? 'info' : 'debug']('what was older than its retention is deleted', { ...result });
      return result;
    },
  };
}
