import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  authorChanges,
  type AuthoredCommit,
  authorOf,
  emailKey,
  verifiedEmails,
} from '../../src/domain/author-link.ts';

const AT = '2026-11-26T07:30:54.000Z';
const commit = (id: number, authorEmail: string, authorId: number | null = null): AuthoredCommit => ({
  id,
  authorEmail,
  authorId,
});

describe('the author of a commit', () => {
  test('U4: only verified emails are a user’s, whatever their case', () => {
    const emails = verifiedEmails([
      { email: 'Ada@Example.COM', confirmedAt: AT },
      { email: 'ada@example.com', confirmedAt: AT },
      { email: 'eve@example.com', confirmedAt: null },
      { email: '', confirmedAt: AT },
    ]);
    expect(emails).toEqual(new Set(['ada@example.com']));
  });

  test.each([
    ['ada@example.com', 1],
    [' ADA@example.com', 1],
    ['grün@example.com', 2],
    ['GRÜN@EXAMPLE.COM', 2],
    ['shared@example.com', null],
    ['nobody@example.com', null],
    ['ada@example.com.evil.example', null],
    ['', null],
  ])('U4: a commit of %j is by %j', (email, author) => {
    const users = new Map([
      [1, new Set(['ada@example.com', 'shared@example.com'])],
      [2, new Set(['grün@example.com', 'shared@example.com'])],
      [3, new Set<string>()],
    ]);
    expect(authorOf(email, users)).toBe(author);
  });

  test('U7: commits of the emails are linked, those of emails given up unlinked, those of others left alone', () => {
    const commits = [
      commit(1, 'ADA@example.com'),
      commit(2, 'ada@example.com', 7),
      commit(3, 'ada@example.com', 8),
      commit(4, 'old@example.com', 7),
      commit(5, 'old@example.com', 8),
      commit(6, 'old@example.com'),
      commit(7, '', 7),
    ];
    expect(authorChanges(7, new Set(['ada@example.com']), commits)).toEqual({ link: [1, 3], unlink: [4, 7] });
  });

  test('U7: a second time there is nothing to do, and users between whom emails move come out the same in either order', () => {
    const email = fc.constantFrom('a@x.example', 'A@X.example', 'b@x.example', 'c@x.example', 'd@x.example');
    const linked = fc.option(fc.constantFrom(1, 2, 3), { nil: null });
    const history = fc.array(fc.tuple(email, linked));
    // Whose each of the four emails is.
    const owners = fc.tuple(linked, linked, linked, linked);
    fc.assert(
      fc.property(history, owners, fc.constantFrom([1, 2, 3], [3, 2, 1], [2, 3, 1]), (made, [a, b, c, d], order) => {
        const owned = Object.entries({ 'a@x.example': a, 'b@x.example': b, 'c@x.example': c, 'd@x.example': d });
        const emailsOf = (user: number) => new Set(owned.filter(([, owner]) => owner === user).map(([key]) => key));
        const users = [1, 2, 3].map((user) => [user, emailsOf(user)] as const);
        const commits = made.map(([authorEmail, authorId], id) => commit(id, authorEmail, authorId));
        for (const user of order) {
          const { link, unlink } = authorChanges(user, emailsOf(user), commits);
          for (const id of link) commits[id]!.authorId = user;
          for (const id of unlink) commits[id]!.authorId = null;
        }
        for (const { authorEmail, authorId } of commits) expect(authorId).toBe(authorOf(authorEmail, users));
        for (const user of order) {
          expect(authorChanges(user, emailsOf(user), commits)).toEqual({ link: [], unlink: [] });
        }
        expect(commits.every(({ authorEmail }) => emailKey(emailKey(authorEmail)) === emailKey(authorEmail))).toBe(
          true,
        );
      }),
    );
  });
});
