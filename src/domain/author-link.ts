/** A commit as far as its author goes. */
export interface AuthoredCommit {
  id: number;
  /** As git has it. */
  authorEmail: string;
  /** The user that it is linked to. */
  authorId: number | null;
}

/** An email of a user as GitLab tells it. */
export interface UserEmail {
  email: string;
  /** When its owner proved that it is theirs; null: not yet, and then it could be anybody's. */
  confirmedAt: string | null;
}

/** What two emails have in common that are the same: upper and lower case and white space around them make no difference. */
export function emailKey(email: string): string {
  return email.trim().toLowerCase();
}

/** The verified ones of a user's emails, by their keys, each once. */
export function verifiedEmails(emails: Iterable<UserEmail>): Set<string> {
  const verified = new Set<string>();
  for (const { email, confirmedAt } of emails) {
    if (confirmedAt !== null && emailKey(email) !== '') verified.add(emailKey(email));
  }
  return verified;
}

/**
 * The user whom a commit is by; null where none of them has its author's email, and where several claim it, which GitLab does
 * not allow and which nothing here could decide.
 * @param users the verified emails of each, by their keys
 */
export function authorOf(
  authorEmail: string,
  users: Iterable<readonly [id: number, emails: ReadonlySet<string>]>,
): number | null {
  const key = emailKey(authorEmail);
  if (key === '') return null;
  const found = new Set<number>();
  for (const [id, emails] of users) if (emails.has(key)) found.add(id);
  const [author, another] = found;
  return author === undefined || another !== undefined ? null : author;
}

/**
 * The commits to link to a user, and those to unlink, by their ids: linked are all whose author's email is one of theirs, those
 * of another user too, who must have given it up; unlinked are theirs whose email is no longer. What is linked to others by
 * other emails is left alone, so that two users between whom an email moves come out the same in either order.
 * @param emails the verified ones of the user, by their keys
 */
export function authorChanges(
  userId: number,
  emails: ReadonlySet<string>,
  commits: Iterable<AuthoredCommit>,
): { link: number[]; unlink: number[] } {
  const changes: { link: number[]; unlink: number[] } = { link: [], unlink: [] };
  for (const { id, authorEmail, authorId } of commits) {
    const isTheirs = emails.has(emailKey(authorEmail));
    if (isTheirs && authorId !== userId) changes.link.push(id);
    else if (!isTheirs && authorId === userId) changes.unlink.push(id);
  }
  return changes;
}
