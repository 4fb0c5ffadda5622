import { expect, test } from 'vitest';
import { GitlabForbidden, GitlabNotFound } from '../../src/gitlab/errors.ts';
import { DEVELOPER, MAINTAINER, OWNER, REPORTER } from '../support/gitlab/index.ts';
import { at, clientWith, withGitlab } from './with-gitlab.ts';

const now = withGitlab();

test('G3: a Maintainer of a group above is one of its projects; one request', async () => {
  const { gitlab, client } = now;
  const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
  const project = gitlab.addProject({ path: 'kiln', group });
  expect(await client.accessOf(at(project), gitlab.bot.id)).toEqual({ sufficient: true, level: MAINTAINER });
  expect(gitlab.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    `GET /projects/${project.id}/members/all/${gitlab.bot.id}`,
  ]);
});

test('G3: membership by way of an invited group counts, up to what that was invited for', async () => {
  const { gitlab, client } = now;
  const elsewhere = gitlab.addGroup({ path: 'elsewhere', parent: null });
  const [mine, theirs] = gitlab.addProjects(2, elsewhere);
  gitlab.share(mine!, gitlab.root, MAINTAINER);
  gitlab.share(theirs!, gitlab.root, DEVELOPER);
  expect(await client.accessOf(at(mine!), gitlab.bot.id)).toEqual({ sufficient: true, level: MAINTAINER });
  expect(await client.accessOf(at(theirs!), gitlab.bot.id)).toEqual({ sufficient: false, level: DEVELOPER });
});

test('G9: hooks of a group take an Owner', async () => {
  const { gitlab, client } = now;
  expect(await client.accessOf(at(gitlab.root), gitlab.bot.id)).toEqual({ sufficient: false, level: MAINTAINER });
  gitlab.addMember(gitlab.root, gitlab.bot, OWNER);
  expect(await client.accessOf(at(gitlab.root), gitlab.bot.id)).toEqual({ sufficient: true, level: OWNER });
});

test('G3: a Reporter may not, and neither may who is no member of a public project', async () => {
  const { gitlab, client } = now;
  const elsewhere = gitlab.addGroup({ path: 'elsewhere', parent: null, visibility: 'public' });
  const project = gitlab.addProject({ path: 'open', group: elsewhere, visibility: 'public' });
  expect(await client.accessOf(at(project), gitlab.bot.id)).toEqual({ sufficient: false, level: null });
  gitlab.addMember(project, gitlab.bot, REPORTER);
  expect(await client.accessOf(at(project), gitlab.bot.id)).toEqual({ sufficient: false, level: REPORTER });
  await expect(client.listHooks(at(project))).rejects.toBeInstanceOf(GitlabForbidden);
});

test('G3: an administrator may, without being a member', async () => {
  const { gitlab } = now;
  const admin = gitlab.addUser({ username: 'root', admin: true });
  const administrator = clientWith(gitlab, gitlab.addToken(admin).value);
  const project = gitlab.addProject({ path: 'kiln' });
  expect(await administrator.accessOf(at(project), admin.id)).toEqual({ sufficient: true, level: null });
});

test('G7: a project that is gone, or hidden, is not found', async () => {
  const { gitlab, client } = now;
  const hidden = gitlab.addGroup({ path: 'elsewhere', parent: null, visibility: 'private' });
  const secret = gitlab.addProject({ path: 'secret', group: hidden, visibility: 'private' });
  await expect(client.accessOf(at(secret), gitlab.bot.id)).rejects.toBeInstanceOf(GitlabNotFound);
  const project = gitlab.addProject({ path: 'kiln' });
  gitlab.deleteProject(project);
  await expect(client.accessOf(at(project), gitlab.bot.id)).rejects.toBeInstanceOf(GitlabNotFound);
  await expect(client.project(project.id)).rejects.toBeInstanceOf(GitlabNotFound);
});
