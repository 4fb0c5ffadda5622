import { describe, expect, test } from 'vitest';
import { authorOf, verifiedEmails } from '../../src/domain/author-link.ts';

const AT = '2026-11-26T07:30:54.000Z';

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
});
