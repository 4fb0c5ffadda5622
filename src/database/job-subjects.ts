import { sql } from 'kysely';
import type { JobPayload } from '../domain/job.ts';
import type { Database } from './connection.ts';

/** What a job is about, for people. */
export interface SubjectName {
  /** Our id of it, and its path in GitLab; null for what belongs to none. */
  repository: { id: number; path: string } | null;
  /** The path, and what of it: a merge request `acme/shop!12`, a commit `acme/shop@0150dd59`; or a user `@ada`, a group. */
  name: string;
}

/** @returns for each payload, in its place; null where there is no such thing */
export async function nameSubjects(db: Database, payloads: readonly JobPayload[]): Promise<(SubjectName | null)[]> {
  if (payloads.length === 0) return [];
  const idsOf = (field: string) => payloads.map((payload) => numberOf(payload, field));
  const { rows } = await sql<Row>`
    select repositories.id, repositories.path, merge_requests.iid, coalesce(commits.sha, given.sha) as sha, checks.plugin, users.username
    from unnest(
      ${idsOf('mergeRequestId')}::int[], ${idsOf('repositoryId')}::int[], ${idsOf('commitId')}::int[], ${idsOf('checkId')}::int[],
      ${idsOf('userId')}::int[], ${payloads.map((payload) => ('sha' in payload ? payload.sha : null))}::text[]
    ) with ordinality as given (merge_request_id, repository_id, commit_id, check_id, user_id, sha, position)
    left join merge_requests on merge_requests.id = given.merge_request_id
    left join checks on checks.id = given.check_id
    left join commits on commits.id = coalesce(given.commit_id, checks.commit_id)
    left join users on users.id = given.user_id
    left join repositories
      on repositories.id = coalesce(given.repository_id, merge_requests.repository_id, commits.repository_id)
    order by given.position
  `.execute(db);
  return rows.map((row, at) => nameOf(row, payloads[at]));
}

interface Row {
  id: number | null;
  path: string | null;
  iid: number | null;
  sha: string | null;
  plugin: string | null;
  username: string | null;
}

const SHOWN_SHA = 8;

function nameOf({ id, path, iid, sha, plugin, username }: Row, payload: JobPayload | undefined): SubjectName | null {
  if (payload !== undefined && 'group' in payload) return { repository: null, name: payload.group };
  if (username !== null) return { repository: null, name: `@${username}` };
  if (id === null || path === null) return null;
  const repository = { id, path };
  if (iid !== null) return { repository, name: `${path}!${iid}` };
  if (sha === null) return { repository, name: path };
  const commit = `${path}@${sha.slice(0, SHOWN_SHA)}`;
  return { repository, name: plugin === null ? commit : `${commit} ${plugin}` };
}

function numberOf(payload: JobPayload, field: string): number | null {
  const value: unknown = Reflect.get(payload, field);
  return typeof value === 'number' ? value : null;
}
