import type { Database } from './connection.ts';
import { requestJobs } from './job-requests.ts';

/**
 * An artefact was put into the cache: asks for what has become too much there to be taken away, where that is needed.
 * @returns false where the repository is not tracked any more
 */
export async function requestEviction(
  db: Database,
  repositoryId: number,
  { isNeeded }: { isNeeded: boolean },
): Promise<boolean> {
  if (!db.isTransaction)
    return db.transaction().execute((transaction) => requestEviction(transaction, repositoryId, { isNeeded }));
  const tracked = await db
    .selectFrom('repositories')
    .select('id')
    .where('id', '=', repositoryId)
    .where('tracked_at', 'is not', null)
    .forKeyShare()
    .executeTakeFirst();
  if (tracked === undefined) return false;
  if (isNeeded) await requestJobs(db, [{ kind: 'requestCacheEviction', payload: { repositoryId } }]);
  return true;
}
