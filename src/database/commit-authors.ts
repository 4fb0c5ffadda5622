import { sql } from 'kysely';
import { authorOf, emailKey } from '../domain/author-link.ts';
import type { Database } from './connection.ts';
import { takeTurn } from './turns.ts';

/**
 * The user whom a commit with this email is by; null where it is none's. In the transaction that writes the commit, before
 * any row of it is locked: whoever changes emails meanwhile waits until the commit is there, and links it.
 */
export async function authorOfEmail(db: Database, email: string): Promise<number | null> {
  await takeTurn(db, 'emails', { shared: true });
  const key = emailKey(email);
  const owners = await db.selectFrom('user_emails').select('user_id').where('email_key', '=', key).execute();
  return authorOf(
    email,
    owners.map(({ user_id }) => [user_id, new Set([key])]),
  );
}

/** What a user's reading of emails has come to. */
export interface EmailChanges {
  linked: number;
  unlinked: number;
  /** Emails that another user has by an answer of GitLab's that may be newer: GitLab has to be asked again. */
  contested: number;
}

/**
 * Makes the emails of a user those that GitLab has told, and the commits of those emails theirs. GitLab lets an email be
 * one user's only, so whoever had it before has given it up, unless that is known from a later answer.
 * @param keys of the verified ones, by `emailKey`
 * @param askedAt by `databaseTime`, before GitLab was asked
 * @returns undefined where there is no such user any more
 */
export async function replaceEmails(
  db: Database,
  { userId, keys, askedAt }: { userId: number; keys: readonly string[]; askedAt: string },
): Promise<EmailChanges | undefined> {
  await takeTurn(db, 'emails');
  const { rows: users } = await sql<{ isOutdated: boolean }>`
    select coalesce(emails_read_at > ${askedAt}::timestamptz, false) as "isOutdated"
    from users where id = ${userId} for no key update
  `.execute(db);
  const [user] = users;
  if (user === undefined) return undefined;
  // An attempt that was given up, and answered after the one that took its place.
  if (user.isOutdated) return { linked: 0, unlinked: 0, contested: 0 };
  const contested = await giveUp(db, { userId, keys, askedAt });
  const own = keys.filter((key) => !contested.includes(key));
  await sql`delete from user_emails where user_id = ${userId} and email_key <> all(${own}::text[])`.execute(db);
  await sql`
    insert into user_emails (user_id, email_key) select ${userId}, key from unnest(${own}::text[]) as key
    on conflict do nothing
  `.execute(db);
  await sql`update users set emails_read_at = ${askedAt}::timestamptz where id = ${userId}`.execute(db);
  const unlinked = await sql`
    update commits set author_id = null
    where author_id = ${userId} and (author_email_key is null or author_email_key <> all(${own}::text[]))
  `.execute(db);
  const linked = await sql`
    update commits set author_id = ${userId}
    where author_email_key = any(${own}::text[]) and author_id is distinct from ${userId}
  `.execute(db);
  return {
    linked: Number(linked.numAffectedRows ?? 0),
    unlinked: Number(unlinked.numAffectedRows ?? 0),
    contested: contested.length,
  };
}

/** Takes the emails from others whose answer is older. @returns those that others keep */
async function giveUp(
  db: Database,
  { userId, keys, askedAt }: { userId: number; keys: readonly string[]; askedAt: string },
): Promise<string[]> {
  await sql`
    delete from user_emails using users
    where users.id = user_emails.user_id and users.id <> ${userId} and email_key = any(${keys}::text[])
      and coalesce(users.emails_read_at < ${askedAt}::timestamptz, true)
  `.execute(db);
  const kept = await db
    .selectFrom('user_emails')
    .select('email_key')
    .where('user_id', '<>', userId)
    .where(sql<boolean>`email_key = any(${keys}::text[])`)
    .execute();
  return kept.map(({ email_key }) => email_key);
}
