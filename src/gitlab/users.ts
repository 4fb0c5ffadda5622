import { UserEmails, Users } from '@gitbeaker/rest';
import { z } from 'zod';
import { emailKey, verifiedEmails, type UserEmail } from '../domain/author-link.ts';
import { GitlabBadAnswer, GitlabForbidden, GitlabNotFound } from './errors.ts';
import { nextPage, PER_PAGE } from './paging.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, id } from './shapes.ts';

/** A user, and what GitLab shows us of their emails. */
export interface GitlabUser {
  gitlabId: number;
  username: string;
  name: string;
  /** By `emailKey`, only those that they have proved to be theirs. */
  emails: Set<string>;
  /** Whether these are all of theirs, which only administrators are shown; else what they show to everybody. */
  areAllEmails: boolean;
}

const email = z.string().nullish();
const shown = z.object({
  id,
  username: z.string().min(1),
  name: z.string().nullish(),
  /** GitLab takes only a verified one for it. */
  public_email: email,
  /** Administrators are shown these three. Where they have set none for commits, it is the primary one, proved or not. */
  email,
  confirmed_at: z.string().nullish(),
  commit_email: email,
});
const secondary = z.array(z.object({ email: z.string(), confirmed_at: z.string().nullish() }));

const MOST_PAGES = 100;

/**
 * @returns null for one that GitLab does not have, or hides from us
 * @throws GitlabForbidden where the token's account may see no users
 */
export async function readUser(
  connection: Connection,
  gitlabUserId: number,
  signal?: AbortSignal,
): Promise<GitlabUser | null> {
  const user = await showUser(connection, gitlabUserId, signal);
  if (user === null) return null;
  const more = await listEmails(connection, gitlabUserId, signal);
  const primary = emailKey(user.email ?? '');
  const emails = verifiedEmails([...(more ?? []), { email: primary, confirmedAt: user.confirmed_at ?? null }]);
  if (user.public_email) emails.add(emailKey(user.public_email));
  const forCommits = emailKey(user.commit_email ?? '');
  if (primary !== '' && forCommits !== '' && forCommits !== primary) emails.add(forCommits);
  const { id: gitlabId, username, name } = user;
  return { gitlabId, username, name: name ?? username, emails, areAllEmails: more !== null };
}

async function showUser(
  connection: Connection,
  gitlabUserId: number,
  signal: AbortSignal | undefined,
): Promise<z.infer<typeof shown> | null> {
  const { options } = speakerFor(connection, { signal });
  try {
    return checked(shown, await new Users(options).show(gitlabUserId), 'a user');
  } catch (error) {
    if (error instanceof GitlabNotFound) return null;
    throw error;
  }
}

/** Those besides the primary one. @returns null where only administrators are shown them */
async function listEmails(
  connection: Connection,
  gitlabUserId: number,
  signal: AbortSignal | undefined,
): Promise<UserEmail[] | null> {
  const found: UserEmail[] = [];
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer("GitLab's list of a user's emails has no end");
    const { options, headers } = speakerFor(connection, { signal });
    const asked: object = { userId: gitlabUserId, page, perPage: PER_PAGE };
    try {
      const answer = await new UserEmails(options).all(asked);
      const emails = checked(secondary, answer, 'a list of emails');
      found.push(...emails.map(({ email, confirmed_at }) => ({ email, confirmedAt: confirmed_at ?? null })));
    } catch (error) {
      if (error instanceof GitlabForbidden && page === 1) return null;
      throw error;
    }
    page = nextPage(headers(), page);
  }
  return found;
}
