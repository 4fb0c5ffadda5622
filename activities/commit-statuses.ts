import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { readCommitToReport, recordStatus } from '../src/database/commit-statuses.ts';
import { statusesToPost } from '../src/domain/commit-statuses.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { GitlabNotFound } from '../src/gitlab/errors.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitStatusesDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

/** Each look at what is to be told is followed by another, which has nothing to do unless it has changed meanwhile. */
const MOST_LOOKS = 10;

export function createCommitStatuses({ db, gitlab }: CommitStatusesDependencies) {
  return {
    /**
     * Tells GitLab what is known of a commit now, as far as it was not told already: the statuses `forgeflow`, of its
     * checks, and `forgeflow/coverage`. Whoever is killed between the telling and the note of it tells it again.
     */
    async postCommitStatuses(
      { commitId }: JobPayload<'postCommitStatuses'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      return askingGitlab(gitlab, async (client) => {
        let posted = 0;
        for (let look = 0; look < MOST_LOOKS; look++) {
          const commit = await readCommitToReport(db, commitId);
          if (commit === undefined) return { summary: 'there is no such commit any more', posted };
          const due = statusesToPost(commit, commit.told);
          if (due.length === 0) break;
          for (const status of due) {
            await client.postCommitStatus(commit, status, signal).catch(orUnknown(commit.sha));
            await recordStatus(db, commitId, status);
            posted++;
          }
        }
        return { summary: posted === 0 ? 'GitLab knows all of it' : `told GitLab of ${posted}`, posted };
      });
    },
  };
}

function orUnknown(sha: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof GitlabNotFound)) throw error;
    throw permanentFailure(`GitLab does not have the commit ${sha.slice(0, 8)} in any branch`);
  };
}
