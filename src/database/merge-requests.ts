import { type RawBuilder, sql } from 'kysely';
import type { Subject } from '../domain/job-triggers.ts';
import type { MergeRequest, MergeRequestState } from '../domain/merge-request.ts';
import type { Database } from './connection.ts';
import { isOpen, type MergeRequestRecord, ofTrackedRepositories, readMergeRequests } from './merge-request-records.ts';
import { forgetDecisions, forgetMergeability } from './merge-request-results.ts';

/** What of a merge request has changed, as far as it matters to a job. */
export type MergeRequestChange = 'head' | 'source_branch' | 'target_branch' | 'draft' | 'state';

export interface KeptMergeRequest {
  /** Ours, like the next. */
  id: number;
  repositoryId: number;
  /** Of now. */
  state: MergeRequestState;
  headSha: string | null;
  isNew: boolean;
  /** What was known is newer, so that nothing was changed. */
  isOutdated: boolean;
  /** It contradicts what was known of the same second, and either may be the older one: only GitLab can say. */
  isDoubtful: boolean;
  /** Nothing where it is new. */
  changed: MergeRequestChange[];
}

/** Postgres' integer ends there, and no project has so many. */
const HIGHEST_IID = 2 ** 31 - 1;
/** Events tell the time to the second, the API to the millisecond: within a second nobody knows which was first. */
const SECOND_MS = 1_000;

/**
 * Keeps what GitLab says of a merge request; what it leaves open (reviewers, head) stays as it was. Of two reports the newer
 * one counts, whatever order they come in; of two of the same second, the one that came last, until GitLab is asked
 * (`isDoubtful`). What was merged stays so.
 *
 * A change of head, branches, draft or state makes its mergeability unknown, one of the head its decision too: whoever
 * calls asks for the jobs. It stays locked until the transaction ends; who keeps several in one, goes by their ids.
 * @returns undefined where its repository is not tracked, or GitLab's ids contradict what is known
 */
export async function upsertMergeRequest(db: Database, found: MergeRequest): Promise<KeptMergeRequest | undefined> {
  if (found.iid > HIGHEST_IID) return undefined;
  if (!db.isTransaction) return db.transaction().execute((transaction) => upsertMergeRequest(transaction, found));
  // Updated first: an insert with a conflict would use up a number of the identity. Another one may insert it meanwhile.
  return (await update(db, found)) ?? (await insert(db, found)) ?? (await update(db, found));
}

async function update(db: Database, found: MergeRequest): Promise<KeptMergeRequest | undefined> {
  const known = await db
    .selectFrom('merge_requests')
    .innerJoin('repositories', 'repositories.id', 'merge_requests.repository_id')
    .selectAll('merge_requests')
    .where('repositories.gitlab_id', '=', String(found.gitlabProjectId))
    .where('repositories.tracked_at', 'is not', null)
    .where('iid', '=', found.iid)
    .forKeyShare('repositories') // first, as whoever removes the repository does
    .forNoKeyUpdate('merge_requests')
    .executeTakeFirst();
  if (known === undefined) return undefined;
  const { id, repository_id: repositoryId } = known;
  const knownAt = known.gitlab_updated_at?.getTime() ?? 0;
  const order = orderOf(knownAt, found.updatedAt);
  if (order === 'older') {
    return {
      id,
      repositoryId,
      state: known.state,
      headSha: known.head_sha,
      isNew: false,
      isOutdated: true,
      isDoubtful: false,
      changed: [],
    };
  }
  const state = known.state === 'merged' ? 'merged' : found.state;
  const headSha = found.headSha ?? known.head_sha;
  const source = known.source_gitlab_project_id === null ? null : Number(known.source_gitlab_project_id);
  const differences: Record<MergeRequestChange, boolean> = {
    head: headSha !== known.head_sha,
    source_branch: found.sourceBranch !== known.source_branch || found.sourceGitlabProjectId !== source,
    target_branch: found.targetBranch !== known.target_branch,
    draft: found.isDraft !== known.is_draft,
    state: state !== known.state,
  };
  const changed = (Object.keys(differences) as MergeRequestChange[]).filter((one) => differences[one]);
  await db
    .updateTable('merge_requests')
    .set({
      title: found.title,
      source_branch: found.sourceBranch,
      target_branch: found.targetBranch,
      source_gitlab_project_id: found.sourceGitlabProjectId,
      head_sha: headSha,
      is_draft: found.isDraft,
      state,
      ...(found.reviewers !== null && { reviewers: found.reviewers }),
      ...((found.updatedAt ?? 0) > knownAt && { gitlab_updated_at: new Date(found.updatedAt ?? 0) }),
    })
    .where('id', '=', id)
    .execute();
  if (changed.length > 0) await forgetMergeability(db, [id]);
  if (differences.head) await forgetDecisions(db, [id]);
  const isDoubtful = order === 'unclear' && changed.length > 0;
  return { id, repositoryId, state, headSha, isNew: false, isOutdated: false, isDoubtful, changed };
}

/** Of two reports by GitLab's clock. One without a time is taken for the newer one: it has just come. */
function orderOf(known: number, found: number | null): 'older' | 'newer' | 'unclear' {
  if (found === null) return 'newer';
  const areExact = known % SECOND_MS !== 0 && found % SECOND_MS !== 0;
  const [before, after] = areExact
    ? [known, found]
    : ([known, found].map((at) => Math.floor(at / SECOND_MS)) as [number, number]);
  if (before === after) return 'unclear';
  return after < before ? 'older' : 'newer';
}

/** @returns undefined where it is there already, or belongs to no tracked repository */
async function insert(db: Database, found: MergeRequest): Promise<KeptMergeRequest | undefined> {
  const updatedAt = found.updatedAt === null ? null : new Date(found.updatedAt);
  const { rows } = await sql<{ id: number; repositoryId: number }>`
    insert into merge_requests (
      repository_id, gitlab_id, iid, title, source_branch, target_branch, source_gitlab_project_id, head_sha, is_draft,
      state, reviewers, gitlab_updated_at
    )
    select id, ${found.gitlabId}::bigint, ${found.iid}::int, ${found.title}, ${found.sourceBranch},
      ${found.targetBranch}, ${found.sourceGitlabProjectId}::bigint, ${found.headSha}, ${found.isDraft}::boolean,
      ${found.state}, ${found.reviewers}::bigint[], ${updatedAt}::timestamptz
    from repositories where gitlab_id = ${found.gitlabProjectId}::bigint and tracked_at is not null
    for key share -- whoever removes the repository is waited for, and it is not tracked then
    on conflict do nothing
    returning id, repository_id as "repositoryId"
  `.execute(db);
  const { state, headSha } = found;
  return rows[0] && { ...rows[0], state, headSha, isNew: true, isOutdated: false, isDoubtful: false, changed: [] };
}

/** @returns undefined for one that is not known, or whose repository is not tracked */
export async function findMergeRequest(db: Database, id: number): Promise<MergeRequestRecord | undefined> {
  return (await readMergeRequests(db, sql`merge_request.id = ${id}::bigint`))[0];
}

/** @returns undefined as above */
export async function findMergeRequestByIid(
  db: Database,
  { gitlabProjectId, iid }: { gitlabProjectId: number; iid: number },
): Promise<MergeRequestRecord | undefined> {
  return (await readMergeRequests(db, isAbout({ what: 'merge_request', gitlabProjectId, iid })))[0];
}

/** Those of a repository, newest first. */
export async function listMergeRequests(
  db: Database,
  { repositoryId, onlyOpen = false, limit }: { repositoryId: number; onlyOpen?: boolean; limit?: number },
): Promise<MergeRequestRecord[]> {
  const condition = sql`merge_request.repository_id = ${repositoryId} ${onlyOpen ? sql`and ${isOpen}` : sql``}`;
  return readMergeRequests(db, condition, limit);
}

/** The ids of the open merge requests that something is about, ascending. */
export async function mergeRequestsAbout(
  db: Database,
  subject: Exclude<Subject, { what: 'repository' }>,
): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`
    select merge_request.id from ${ofTrackedRepositories} where ${isOpen} and ${isAbout(subject)} order by merge_request.id
  `.execute(db);
  return rows.map(({ id }) => id);
}

function isAbout(subject: Exclude<Subject, { what: 'repository' }>): RawBuilder<boolean> {
  // Not by the joined row: either half of an `or` has to find its own index.
  const target = sql<boolean>`
    merge_request.repository_id = (select id from repositories where gitlab_id = ${subject.gitlabProjectId}::bigint)
  `;
  const source = sql<boolean>`merge_request.source_gitlab_project_id = ${subject.gitlabProjectId}::bigint`;
  switch (subject.what) {
    case 'merge_request':
      return sql`(${target} and merge_request.iid = ${subject.iid}::bigint)`;
    case 'branch': {
      const head = sql<boolean>`(${source} and merge_request.source_branch = ${subject.name})`;
      if (subject.as === 'head') return head;
      return sql`(${head} or (${target} and merge_request.target_branch = ${subject.name}))`;
    }
    case 'commit':
      return sql`(merge_request.head_sha = ${subject.sha} and (${target} or ${source}))`;
  }
}

/**
 * GitLab has it no more.
 * @returns false where it is not open any more, or has changed since that revision: then it is there after all
 */
export async function closeMergeRequest(
  db: Database,
  { id, revision }: { id: number; revision: number },
): Promise<boolean> {
  if (!db.isTransaction)
    return db.transaction().execute((transaction) => closeMergeRequest(transaction, { id, revision }));
  const { numUpdatedRows } = await db
    .updateTable('merge_requests')
    .set({ state: 'closed' })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .where('state', '=', 'opened')
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return false;
  await forgetMergeability(db, [id]);
  return true;
}
