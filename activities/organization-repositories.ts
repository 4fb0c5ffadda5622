import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import {
  type GroupRepository,
  holdGroup,
  listGroupRepositories,
  markGone,
  recordListing,
} from '../src/database/organization-repositories.ts';
import { upsertRepositories } from '../src/database/repositories.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { GONE_FOR_MS } from '../src/domain/missed-deletion.ts';
import { compareListings } from '../src/domain/repository-listing.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabNotFound } from '../src/gitlab/errors.ts';
import type { GitlabPlace } from '../src/gitlab/shapes.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import { type GroupListing, listGroup } from './group-listing.ts';
import type { JobContext, JobDone, JobOutcome } from './job-context.ts';

export interface OrganizationRepositoriesDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createOrganizationRepositories({ db, gitlab }: OrganizationRepositoriesDependencies) {
  return {
    /**
     * Brings what is known of a group's repositories, subgroups included, to what GitLab lists. All of the list is read
     * before anything is written, in one transaction: a run that does not get that far leaves the last good list.
     * @throws ApplicationFailure `JobImpossible` where GitLab has no such group, or hides it from us
     */
    async updateOrganizationRepositories(
      { group: reference }: JobPayload<'updateOrganizationRepositories'>,
      { signal, now }: JobContext,
    ): Promise<JobOutcome> {
      return askingGitlab(gitlab, async (client) => {
        const group = await findGroup(client, reference, signal);
        const listing = await listGroup(client, group, await listGroupRepositories(db, group), signal);
        signal.throwIfAborted();
        return keep(db, group, listing, now);
      });
    },
  };
}

async function findGroup(client: GitlabClient, reference: string, signal: AbortSignal): Promise<GitlabPlace> {
  return client.group(reference, signal).catch((error: unknown) => {
    if (error instanceof GitlabNotFound)
      throw permanentFailure(`GitLab has no group ${reference}, or hides it from the token's account`);
    throw error;
  });
}

async function keep(
  db: ForgeflowDatabase,
  group: GitlabPlace,
  { present, elsewhere, absent }: GroupListing,
  now: number,
): Promise<JobDone> {
  const at = new Date(now);
  return db.transaction().execute(async (transaction) => {
    const ids = [...present, ...elsewhere].map(({ gitlabId }) => gitlabId);
    const groupId = await holdGroup(transaction, group, [...ids, ...absent]);
    const before = await listGroupRepositories(transaction, group);
    const last = before.filter(({ goneAt }) => goneAt === null);
    const changes = compareListings(last.map(placeOf), present, true) ?? { added: [], changed: [], gone: [] };
    const missing = before.filter(({ gitlabId }) => absent.has(gitlabId));
    await upsertRepositories(transaction, present, { groupId, at, keepsGroup: true });
    await upsertRepositories(transaction, elsewhere, { groupId: null, at });
    await markGone(
      transaction,
      missing.map(({ id }) => id),
      at,
    );
    const deleted = missing.filter((one) => isDeleted(one, now));
    await requestJobs(
      transaction,
      deleted.map(({ id: repositoryId }) => ({ kind: 'destroyRepository', payload: { repositoryId } })),
    );
    const left = new Set([...absent, ...elsewhere.map(({ gitlabId }) => gitlabId)]);
    const [added, changed] = [changes.added.length, changes.changed.length];
    const gone = changes.gone.filter(({ gitlabId }) => left.has(gitlabId)).length;
    await recordListing(transaction, groupId, at, { listed: present.length, changes: { added, changed, gone } });
    return {
      summary: `${present.length} repositories: ${added} new, ${changed} changed, ${gone} gone`,
      ...{ listed: present.length, added, changed, gone, destroyed: deleted.length },
    };
  });
}

const placeOf = ({ gitlabId, path }: GitlabPlace): GitlabPlace => ({ gitlabId, path });

/** A deletion that nobody has told us of. What is not tracked has nothing that would have to go. */
function isDeleted({ isTracked, goneAt }: GroupRepository, now: number): boolean {
  return isTracked && goneAt !== null && now - goneAt.getTime() >= GONE_FOR_MS;
}
