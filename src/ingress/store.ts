import { type Publication, type PublishedEvent, publish } from '../bus/outbox.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { within } from '../deadline.ts';
import { databaseAway } from './problem.ts';

// GitLab waits for ten seconds, and should hear from us that it has to come again.
export const STORE_WITHIN_MS = 8_000;

/**
 * Publishes an event, and returns once it is stored.
 * @throws Late when the database is too slow. What only waited for a connection is not stored then; of a statement that
 *   had been sent already nobody can say, as of any that a connection broke under.
 */
export async function store(db: ForgeflowDatabase, publication: Publication): Promise<PublishedEvent> {
  return within(STORE_WITHIN_MS, (isLate) =>
    db.connection().execute(async (connection) => {
      if (isLate()) throw databaseAway('no free connection');
      return publish(connection, publication);
    }),
  );
}
