import { Gitlab as Gitbeaker } from '@gitbeaker/rest';
import { expect, test } from 'vitest';
import { MAINTAINER, OWNER } from '../../support/gitlab/index.ts';
import { gitlabForTest } from './api.ts';

const URL = 'http://127.0.0.1:9/gitlab/events';

/** Somebody else's client for GitLab, as it comes: what it makes of the answers was not written for this stand-in. */
test('gitbeaker finds its way: projects, members and hooks', async () => {
  const gitlab = await gitlabForTest({ botAccess: OWNER, settings: { premium: true } });
  const projects = gitlab.addProjects(205);
  const client = new Gitbeaker({ host: gitlab.url, token: gitlab.token });

  expect(await client.Users.showCurrentUser()).toMatchObject({ id: gitlab.bot.id });
  const keyset = { pagination: 'keyset', orderBy: 'id', sort: 'asc', perPage: 100, membership: true } as const;
  expect((await client.Projects.all(keyset)).map(({ id }) => id)).toEqual(projects.map(({ id }) => id));
  const ofGroup = await client.Groups.allProjects('acme', { perPage: 100, includeSubgroups: true, withShared: false });
  expect(new Set(ofGroup.map(({ id }) => id)).size).toBe(205);

  const { id, path } = projects[7]!;
  expect(await client.Projects.show(path)).toMatchObject({ id });
  const member = await client.ProjectMembers.show(id, gitlab.bot.id, { includeInherited: true });
  expect(member.access_level).toBeGreaterThanOrEqual(MAINTAINER);
  expect(await client.ProjectMembers.all(id, { includeInherited: true })).toHaveLength(1);

  const made = await client.ProjectHooks.add(id, URL, { token: 'secret', pushEvents: false, issuesEvents: true });
  expect(gitlab.hooksOf(projects[7]!)).toMatchObject([{ id: made.id, token: 'secret', push_events: false }]);
  await client.ProjectHooks.edit(id, made.id, `${URL}/2`, { token: 'other' });
  expect(await client.ProjectHooks.all(id)).toMatchObject([{ url: `${URL}/2`, issues_events: true }]);
  await client.ProjectHooks.remove(id, made.id);
  expect(gitlab.hooksOf(projects[7]!)).toEqual([]);

  const ofTheGroup = await client.GroupHooks.add('acme', URL, { token: 'secret' });
  expect(await client.GroupHooks.all('acme')).toMatchObject([{ id: ofTheGroup.id, group_id: gitlab.root.id }]);
  expect(gitlab.unknownParameters).toEqual([]);
});
