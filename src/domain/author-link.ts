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
