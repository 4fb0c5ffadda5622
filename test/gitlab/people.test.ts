import { describe, expect, test } from 'vitest';
import { GitlabForbidden, GitlabNotFound } from '../../src/gitlab/errors.ts';
import { DEVELOPER, OWNER, REPORTER } from '../support/gitlab/index.ts';
import { clientWith, withGitlab } from './with-gitlab.ts';

const now = withGitlab();
const CONFIRMED = '2026-01-02T03:04:05.000Z';

describe('U9: the members of a project', () => {
  test('are all of them, by their highest levels; who is blocked has none', async () => {
    const { gitlab, client } = now;
    const project = gitlab.addProject({ path: 'kiln' });
    const [ada, bob] = ['ada', 'bob'].map((username) => gitlab.addUser({ username }));
    gitlab.addMember(project, ada!, REPORTER);
    gitlab.addMember(gitlab.root, ada!, DEVELOPER);
    gitlab.addMember(project, bob!, OWNER);
    gitlab.blockUser(bob!);
    expect(await client.projectMembers(project.id)).toEqual({
      members: [
        { gitlabId: gitlab.bot.id, username: 'forgeflow-bot', name: 'forgeflow-bot', accessLevel: 40 },
        { gitlabId: ada!.id, username: 'ada', name: 'ada', accessLevel: 30 },
        { gitlabId: bob!.id, username: 'bob', name: 'bob', accessLevel: 0 },
      ],
      pages: 1,
    });
    const ask = (gitlabUserId: number) => client.projectMember({ gitlabProjectId: project.id, gitlabUserId });
    expect(await ask(ada!.id)).toMatchObject({ accessLevel: 30 });
    expect(await ask(bob!.id)).toMatchObject({ accessLevel: 0 });
    expect(await ask(999)).toBeNull();
    await expect(client.projectMembers(999)).rejects.toThrow(GitlabNotFound);
  });

  test('who still waits to be let in, or whose account waits for its administrator, has no level', async () => {
    const { gitlab, client } = now;
    const member = { id: 7, username: 'ada', name: 'Ada', state: 'active', access_level: 40 };
    for (const given of [{ membership_state: 'awaiting' }, { state: 'blocked_pending_approval' }]) {
      gitlab.faults.add({ fault: { instead: JSON.stringify([{ ...member, ...given }]) } });
      expect((await client.projectMembers(5)).members).toMatchObject([{ gitlabId: 7, accessLevel: 0 }]);
      gitlab.faults.clear();
    }
  });
});

describe('U7: the emails of a user', () => {
  test('are all verified ones for an administrator, and for others the one that is public', async () => {
    const { gitlab, client } = now;
    const ada = gitlab.addUser({ username: 'ada' });
    gitlab.changeUser(ada, {
      emails: [
        { email: 'Ada@example.com', confirmedAt: CONFIRMED },
        { email: 'second@example.com', confirmedAt: CONFIRMED },
        { email: 'unproved@example.com', confirmedAt: null },
      ],
      publicEmail: 'second@example.com',
    });
    const asAdmin = clientWith(gitlab, gitlab.addToken(gitlab.addUser({ username: 'root', admin: true })).value);
    expect(await asAdmin.user(ada.id)).toEqual({
      gitlabId: ada.id,
      username: 'ada',
      name: 'ada',
      emails: new Set(['ada@example.com', 'second@example.com']),
      areAllEmails: true,
    });
    expect(await client.user(ada.id)).toMatchObject({ emails: new Set(['second@example.com']), areAllEmails: false });
    expect(await client.user(999)).toBeNull();
    await asAdmin.close();
  });

  test('an unproved primary email is not theirs', async () => {
    const { gitlab } = now;
    const ada = gitlab.addUser({ username: 'ada' });
    gitlab.changeUser(ada, { emails: [{ email: 'ada@example.com', confirmedAt: null }] });
    const asAdmin = clientWith(gitlab, gitlab.addToken(gitlab.addUser({ username: 'root', admin: true })).value);
    expect((await asAdmin.user(ada.id))?.emails).toEqual(new Set()); // although GitLab says that commits are made with it
    const own = { email: '11-ada@users.noreply.example.com', confirmedAt: CONFIRMED };
    gitlab.changeUser(ada, { emails: [...ada.emails, own], commitEmail: own.email });
    expect((await asAdmin.user(ada.id))?.emails).toEqual(new Set([own.email]));
    await asAdmin.close();
  });

  test('a GitLab that shows users to nobody says so', async () => {
    const { gitlab, client } = now;
    gitlab.faults.add({ path: /^\/users/, fault: { status: 403, body: { message: '403 Forbidden' } } });
    await expect(client.user(5)).rejects.toThrow(GitlabForbidden);
  });
});
