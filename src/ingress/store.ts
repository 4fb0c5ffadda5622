import type { Publication, PublishedEvent } from '../bus/outbox.ts';
import { GivenUp, type Publisher } from '../bus/publisher.ts';
import { within } from '../deadline.ts';
import { databaseAway } from './problem.ts';

// GitLab waits for ten seconds, and should hear from us that it has to come again: also from a busy machine, on which hundreds
// of answers at once take their time.
export const STORE_WITHIN_MS = 7_000;

/**
 * Publishes an event, and returns once it is stored.
 * @throws Late when the database is too slow. What only waited for a connection is not stored then; of a statement that
 *   had been sent already nobody can say, as of any that a connection broke under.
 */
export async function store(publisher: Publisher, publication: Publication): Promise<PublishedEvent> {
  return within(STORE_WITHIN_MS, (isLate) =>
    publisher.publish(publication, isLate).catch((error: unknown) => {
      throw error instanceof GivenUp ? databaseAway('no free connection') : error;
    }),
  );
}
