import { sql } from 'kysely';
import type { JobPayload } from '../domain/job.ts';
import type { Database } from './connection.ts';

/** What a job is about, for people. */
export interface SubjectName {
  /** Its path in GitLab. */
  repository: string;
  /** The path, and of a merge request its number too: `acme/shop!12`. */
  name: string;
}

/** @returns for each payload, in its place; null where there is no such thing */
export async function nameSubjects(db: Database, payloads: readonly JobPayload[]): Promise<(SubjectName | null)[]> {
  if (payloads.length === 0) return [];
  const ids = payloads.map((payload) => ('mergeRequestId' in payload ? payload.mergeRequestId : null));
  const repositoryIds = payloads.map((payload) => ('repositoryId' in payload ? payload.repositoryId : null));
  const { rows } = await sql<{ path: string | null; iid: number | null }>`
    select repositories.path, merge_requests.iid
    from unnest(${ids}::int[], ${repositoryIds}::int[]) with ordinality
      as given (merge_request_id, repository_id, position)
    left join merge_requests on merge_requests.id = given.merge_request_id
    left join repositories on repositories.id = coalesce(given.repository_id, merge_requests.repository_id)
    order by given.position
  `.execute(db);
  return rows.map(({ path, iid }) =>
    path === null ? null : { repository: path, name: iid === null ? path : `${path}!${iid}` },
  );
}
