import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import { listUpkeep } from '../src/database/upkeep.ts';

export interface UpkeepDependencies {
  db: ForgeflowDatabase;
  /** Path or id of the group whose repositories are ours; undefined: there is none to be listed. */
  gitlabGroup?: string | undefined;
}

/** How many jobs were asked for. */
export interface RequestedUpkeep {
  listings: number;
  repositories: number;
  authors: number;
  users: number;
}

export type Upkeep = ReturnType<typeof createUpkeep>;

/** A day, less what one daily run may come sooner than what the last one asked for came about. */
const EMAILS_HOLD_MS = 20 * 3_600_000;
/** By a request for each repository. The list of each repository's members has told nearly all of it already. */
const USERS_A_DAY = 50;

export function createUpkeep({ db, gitlabGroup }: UpkeepDependencies) {
  return {
    /**
     * Asks for all jobs about people and listings whose events may have been missed, which are told to run once more where
     * they are under way already.
     * @param at the workflow's clock, ISO 8601
     */
    async requestUpkeep(at: string): Promise<RequestedUpkeep> {
      const emailsReadBefore = new Date(Date.parse(at) - EMAILS_HOLD_MS);
      return db.transaction().execute(async (transaction) => {
        const listings = gitlabGroup === undefined ? [] : [gitlabGroup];
        const jobs = await listUpkeep(transaction, { emailsReadBefore, users: USERS_A_DAY });
        await requestJobs(transaction, [
          ...listings.map((group) => ({ kind: 'updateOrganizationRepositories' as const, payload: { group } })),
          ...jobs,
        ]);
        const count = (kind: string): number => jobs.filter((job) => job.kind === kind).length;
        return {
          listings: listings.length,
          repositories: count('updateRepositoryPermissions'),
          authors: count('updateCommitsAuthor'),
          users: count('updateUserPermissions'),
        };
      });
    },
  };
}
