import { replaceEmails, type EmailChanges } from '../src/database/commit-authors.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import { databaseTime } from '../src/database/turns.ts';
import { findUser, upsertUsers } from '../src/database/users.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { GitlabUser } from '../src/gitlab/users.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitAuthorsDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createCommitAuthors({ db, gitlab }: CommitAuthorsDependencies) {
  return {
    /**
     * Links the commits of a user: all whose author's email is a verified one of theirs, and no others. Who GitLab has no
     * more, or hides from us, has no emails, and so no commits.
     * @throws ApplicationFailure `JobImpossible` where we know no such user
     */
    async updateCommitsAuthor(
      { userId }: JobPayload<'updateCommitsAuthor'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const user = await findUser(db, userId);
      if (user === undefined) throw noUser(userId);
      return askingGitlab(gitlab, async (client) => {
        const askedAt = await databaseTime(db);
        const found = await client.user(user.gitlabId, signal);
        // Whatever stands before a GitLab that is away may say 404 of anything.
        if (found === null) await client.currentUser(signal);
        signal.throwIfAborted();
        const changes = await keep(db, { userId, found, askedAt });
        if (changes === undefined) throw noUser(userId);
        return {
          summary: `@${found?.username ?? user.username}: ${describe(found, changes)}`,
          emails: found?.emails.size ?? 0,
          areAllEmails: found?.areAllEmails ?? false,
          ...changes,
        };
      });
    },
  };
}

const noUser = (userId: number) => permanentFailure(`there is no user ${userId}`);

async function keep(
  db: ForgeflowDatabase,
  { userId, found, askedAt }: { userId: number; found: GitlabUser | null; askedAt: string },
): Promise<EmailChanges | undefined> {
  return db.transaction().execute(async (transaction) => {
    // In an order of their own, so that two of these never wait for one another.
    const keys = [...(found?.emails ?? [])].sort();
    const changes = await replaceEmails(transaction, { userId, keys, askedAt });
    if (changes === undefined) return undefined;
    if (found !== null) await upsertUsers(transaction, [found]);
    if (changes.contested > 0) await requestJobs(transaction, [{ kind: 'updateCommitsAuthor', payload: { userId } }]);
    return changes;
  });
}

function describe(found: GitlabUser | null, { linked, unlinked }: EmailChanges): string {
  const commits = `${linked} commits linked, ${unlinked} unlinked`;
  return found === null ? `not in GitLab any more; ${commits}` : `${found.emails.size} emails; ${commits}`;
}
