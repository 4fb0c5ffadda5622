import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { authorOfEmail } from '../../src/database/commit-authors.ts';
import { emailKey } from '../../src/domain/author-link.ts';
import { breakOffAt } from '../support/broken-transaction.ts';
import type { Fault, User } from '../support/gitlab/index.ts';
import { type PeopleWorld, startPeopleWorld } from '../support/people-world.ts';

let world: PeopleWorld;
let adminToken: string;
let repositoryId: number;
interface Known {
  user: User;
  id: number;
}
let ada: Known;
let bob: Known;
let met: User[] = [];
let count = 0;
beforeAll(async () => {
  world = await startPeopleWorld();
  adminToken = world.gitlab.addToken(world.gitlab.addUser({ username: 'root', admin: true })).value;
  ({ id: repositoryId } = await world.addTracked('kiln'));
});
afterAll(() => world.stop());
beforeEach(async () => {
  const { gitlab, db } = world;
  gitlab.faults.clear();
  gitlab.rateLimit.allow();
  await world.restart(adminToken);
  await db.deleteFrom('commits').execute();
  await db.deleteFrom('users').execute();
  for (const user of met) gitlab.deleteUser(user);
  [ada, bob] = [await meet('ada'), await meet('bob')];
  met = [ada.user, bob.user];
  await world.requested();
  gitlab.forgetRequests();
});

async function meet(name: string): Promise<Known> {
  const user = world.gitlab.addUser({ username: `${name}-${++count}` });
  return { user, id: await world.meet(user) };
}

const CONFIRMED = '2026-01-02T03:04:05.000Z';
const have = ({ user }: Known, ...emails: string[]) => {
  world.gitlab.changeUser(user, { emails: emails.map((email) => ({ email, confirmedAt: CONFIRMED })) });
};
const update = ({ id: userId }: { id: number }) => world.jobs.updateCommitsAuthor({ userId }, world.context());

/** A commit that was processed with this author. */
async function commit(email: string, author: number | null = null): Promise<void> {
  await world.db
    .insertInto('commits')
    .values({
      repository_id: repositoryId,
      sha: String(++count).padStart(40, '0'),
      author_email: email,
      author_email_key: emailKey(email),
      author_id: author,
    })
    .execute();
}

/** Whose the commits are, in their order. */
async function authors(): Promise<(string | null)[]> {
  const rows = await world.db
    .selectFrom('commits')
    .leftJoin('users', 'users.id', 'commits.author_id')
    .select('users.id')
    .orderBy('commits.id')
    .execute();
  return rows.map(({ id }) => (id === ada.id ? 'ada' : id === bob.id ? 'bob' : id === null ? null : 'another'));
}

describe("U7: a user's commits", () => {
  test('are those of their verified emails, however these are written; what is no longer theirs is unlinked', async () => {
    const { gitlab } = world;
    for (const email of ['ada@example.com', 'ADA@Example.com', 'second@example.com', 'new@example.com'])
      await commit(email);
    await commit('old@example.com', ada.id);
    await commit('bob@example.com', bob.id);
    gitlab.changeUser(ada.user, {
      emails: [
        { email: 'Ada@example.com', confirmedAt: CONFIRMED },
        { email: 'second@example.com', confirmedAt: CONFIRMED },
        { email: 'new@example.com', confirmedAt: null },
      ],
    });
    expect(await update(ada)).toMatchObject({ emails: 2, areAllEmails: true, linked: 3, unlinked: 1, contested: 0 });
    expect(await authors()).toEqual(['ada', 'ada', 'ada', null, null, 'bob']);
    expect(gitlab.requests).toHaveLength(2);
    expect(gitlab.unknownParameters).toEqual([]);

    expect(await update(ada)).toMatchObject({ linked: 0, unlinked: 0 }); // twice
    await Promise.all([update(ada), update(ada), update(ada)]); // and several at once
    expect(await authors()).toEqual(['ada', 'ada', 'ada', null, null, 'bob']);
    expect(await world.requested()).toEqual([]);
  });

  test('come from as many pages of emails as there are', async () => {
    const emails = Array.from({ length: 230 }, (_, i) => `ada+${i}@example.com`);
    have(ada, ...emails);
    await commit('ada+229@example.com');
    expect(await update(ada)).toMatchObject({ emails: 230, linked: 1 });
    expect(world.gitlab.requests).toHaveLength(4);
  });

  test('come, with a token of nobody in particular, from the email that they show to all, which GitLab has verified', async () => {
    const { gitlab } = world;
    await world.restart(gitlab.token);
    have(ada, 'ada@example.com', 'hidden@example.com');
    gitlab.changeUser(ada.user, { publicEmail: 'hidden@example.com' });
    for (const email of ['ada@example.com', 'hidden@example.com']) await commit(email);
    expect(await update(ada)).toMatchObject({ emails: 1, areAllEmails: false, linked: 1 });
    expect(await authors()).toEqual([null, 'ada']);
  });

  test('are nobody’s once GitLab has the user no more; a proxy that says so of everything does not count', async () => {
    const { gitlab } = world;
    have(ada, 'ada@example.com');
    await commit('ada@example.com');
    await update(ada);
    const fault = { instead: '404 page not found', status: 404, contentType: 'text/plain' };
    gitlab.faults.add({ fault });
    await expect(update(ada)).rejects.toThrow();
    expect(await authors()).toEqual(['ada']);
    gitlab.faults.clear();
    gitlab.deleteUser(ada.user);
    expect(await update(ada)).toMatchObject({ emails: 0, unlinked: 1 });
    expect(await authors()).toEqual([null]);
    await expect(update({ id: ada.id + 1_000 })).rejects.toMatchObject({ nonRetryable: true });
  });

  test.each<[string, RegExp, Fault]>([
    ['the user', /users\/\d+$/, { status: 500 }],
    ['half of the user', /users\/\d+$/, 'truncated'],
    ['the emails', /emails/, 'reset'],
    ['half of the emails', /emails/, 'truncated'],
    ['the second page of emails', /emails.*\bpage=2\b/, { status: 502 }],
    ['the second page of emails, as forbidden', /emails.*\bpage=2\b/, { status: 403, body: { message: 'no' } }],
    ['emails, but a login page', /emails/, 'html'],
  ])('stay as they are where GitLab does not give %s', async (_, path, fault) => {
    const { gitlab } = world;
    have(ada, ...Array.from({ length: 110 }, (_, i) => `ada+${i}@example.com`));
    await commit('ada+3@example.com');
    await update(ada);
    have(ada, ...Array.from({ length: 110 }, (_, i) => `other+${i}@example.com`));
    gitlab.faults.add({ path, fault });
    await expect(update(ada)).rejects.toThrow();
    expect(await authors()).toEqual(['ada']);
    gitlab.faults.clear();
    gitlab.rateLimit.refuse({ at: 2, forSeconds: 5 });
    expect(await update(ada)).toHaveProperty('postponedUntil');
    expect(await authors()).toEqual(['ada']);
  });

  test.each([
    ['who lost it first', () => [ada, bob]],
    ['who got it first', () => [bob, ada]],
  ] as const)('follow an email that moves between two users, whichever is looked at first: %s', async (_, order) => {
    have(ada, 'ada@example.com', 'shared@example.com');
    have(bob, 'bob@example.com');
    for (const email of ['ada@example.com', 'shared@example.com', 'bob@example.com']) await commit(email);
    await Promise.all([update(ada), update(bob)]);
    expect(await authors()).toEqual(['ada', 'ada', 'bob']);
    have(ada, 'ada@example.com');
    have(bob, 'bob@example.com', 'shared@example.com');
    for (const one of order()) await update(one);
    expect(await authors()).toEqual(['ada', 'bob', 'bob']);
    const author = await world.db.transaction().execute((db) => authorOfEmail(db, 'Shared@example.com'));
    expect(author).toBe(bob.id);
  });

  test('end with whom GitLab names last, where one was read before the email moved and is written after it', async () => {
    const { gitlab } = world;
    have(ada, 'shared@example.com', 'ada@example.com');
    have(bob, 'bob@example.com');
    await commit('shared@example.com');
    gitlab.faults.add({
      path: new RegExp(`users/${ada.user.id}/emails`),
      times: 1,
      fault: {
        async do() {
          have(ada, 'ada@example.com');
          have(bob, 'bob@example.com', 'shared@example.com');
          await update(bob);
        },
        when: 'after',
      },
    });
    // The answer that Ada's job gets has been made before.
    gitlab.faults.add({
      path: new RegExp(`users/${ada.user.id}/emails`),
      times: 1,
      fault: { instead: '[{"email":"shared@example.com","confirmed_at":"2026-01-02T03:04:05Z"}]' },
    });
    expect(await update(ada)).toMatchObject({ contested: 1 });
    gitlab.faults.clear();
    expect(await authors()).toEqual(['bob']);
    expect(await world.requested()).toEqual([`updateCommitsAuthor/${ada.id}`]);
    expect(await update(ada)).toMatchObject({ contested: 0 });
    expect(await authors()).toEqual(['bob']);
  });

  test('are not those that an attempt has read which was given up, where it writes after the one in its place', async () => {
    const { gitlab } = world;
    have(ada, 'old@example.com');
    for (const email of ['old@example.com', 'new@example.com']) await commit(email);
    gitlab.faults.add({
      path: /^\/users\/\d+$/,
      times: 1,
      fault: {
        async do() {
          have(ada, 'new@example.com');
          await update(ada);
        },
        when: 'after', // the old primary email is in the answer already
      },
    });
    await update(ada);
    expect(await authors()).toEqual([null, 'ada']);
  });

  test('two users whose emails change places, again and again and at once, end as GitLab has them', async () => {
    await commit('one@example.com');
    await commit('two@example.com');
    for (let round = 0; round < 10; round++) {
      const [first, second] = round % 2 === 0 ? [ada, bob] : [bob, ada];
      for (const one of [ada, bob]) have(one, `free-${one.id}@example.com`);
      have(first, 'one@example.com');
      have(second, 'two@example.com');
      await Promise.all([update(ada), update(bob), update(ada), update(bob)]);
      for (const job of await world.requested()) await update({ id: Number(job.split('/')[1]) });
    }
    expect(await authors()).toEqual(['bob', 'ada']);
  });

  test('of a job that is killed in the middle of writing are as they were, and the next attempt brings all of it', async () => {
    have(ada, 'ada@example.com');
    await commit('ada@example.com');
    await commit('old@example.com', ada.id);
    for (const table of ['user_emails', 'commits', 'users']) {
      const mend = await breakOffAt(world.db, table);
      await expect(update(ada)).rejects.toThrow();
      await mend();
      expect(await authors()).toEqual([null, 'ada']);
      expect(await world.db.selectFrom('user_emails').selectAll().execute()).toEqual([]);
    }
    await update(ada);
    expect(await authors()).toEqual(['ada', null]);
  });

  test('are not missed where a commit is written while the emails are', async () => {
    have(ada, 'ada@example.com');
    const writing = world.db.transaction().execute(async (transaction) => {
      const author = await authorOfEmail(transaction, 'ada@example.com');
      expect(author).toBeNull();
      const updating = update(ada);
      await new Promise((resolve) => setTimeout(resolve, 150)); // it waits for this transaction
      await transaction
        .insertInto('commits')
        .values({
          repository_id: repositoryId,
          sha: String(++count).padStart(40, '0'),
          author_email: 'ada@example.com',
          author_email_key: 'ada@example.com',
          author_id: author,
        })
        .execute();
      return { updating };
    });
    await (
      await writing
    ).updating;
    expect(await authors()).toEqual(['ada']);
  });
});
