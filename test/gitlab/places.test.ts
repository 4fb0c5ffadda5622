import { expect, test } from 'vitest';
import type { ListingPage } from '../../src/gitlab/client.ts';
import { DEVELOPER, MAINTAINER } from '../support/gitlab/index.ts';
import { withGitlab } from './with-gitlab.ts';

const now = withGitlab();

async function listed(list: (at: number | null) => Promise<ListingPage>): Promise<string[]> {
  const paths: string[] = [];
  for (let next: number | null = null, more = true; more; more = next !== null) {
    const page: ListingPage = await list(next);
    paths.push(...page.items.map(({ path }) => path));
    next = page.next;
  }
  return paths;
}

test('a project that has moved is found by its old path', async () => {
  const { gitlab, client } = now;
  const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
  const project = gitlab.addProject({ path: 'kiln', group });
  const old = project.path;
  gitlab.moveProject(project, `${gitlab.root.path}/oven`);
  const there = { gitlabId: project.id, path: `${gitlab.root.path}/oven` };
  expect(await client.project(old)).toEqual(there);
  expect(await client.project(there.path)).toEqual(there);
  expect(await client.project(project.id)).toEqual(there);
});

test('a group is found by its path and its id', async () => {
  const { gitlab, client } = now;
  const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
  expect(await client.group(group.path)).toEqual({ gitlabId: group.id, path: group.path });
  expect(await client.group(group.id)).toEqual({ gitlabId: group.id, path: group.path });
});

test.each([0, 1, 100, 101, 250])('G9: %i projects of a group, subgroups included', async (count) => {
  const { gitlab, client } = now;
  const group = gitlab.addGroup({ path: 'clay', parent: gitlab.root });
  const below = gitlab.addGroup({ path: 'small', parent: group });
  const there = [
    ...gitlab.addProjects(Math.floor(count / 2), group),
    ...gitlab.addProjects(Math.ceil(count / 2), below),
  ];
  gitlab.addProject({ path: 'above' });
  gitlab.addProject({ path: 'archived', group, archived: true });
  gitlab.share(gitlab.addProject({ path: 'shared' }), group, MAINTAINER);
  const paths = await listed((page) => client.groupProjects(group.id, page ?? 1));
  expect(paths.sort()).toEqual(there.map(({ path }) => path).sort());
  expect(gitlab.requests).toHaveLength(Math.max(1, Math.ceil(count / 100)));
});

test.each([1, 100, 101, 250])('G2: %i projects that we are a Maintainer of', async (count) => {
  const { gitlab, client } = now;
  const there = gitlab.addProjects(count);
  gitlab.addProject({ path: 'archived', archived: true });
  const elsewhere = gitlab.addGroup({ path: 'elsewhere', parent: null });
  gitlab.addMember(elsewhere, gitlab.bot, DEVELOPER);
  gitlab.addProject({ path: 'not-ours', group: elsewhere });
  const paths = await listed((after) => client.ownProjects(after));
  expect(paths.sort()).toEqual(there.map(({ path }) => path).sort());
});

test('a listing passes over no project while others go', async () => {
  const { gitlab, client } = now;
  const there = gitlab.addProjects(250);
  const first = await client.ownProjects(null);
  for (const gone of there.slice(0, 50)) gitlab.deleteProject(gone);
  const rest = await listed((after) => client.ownProjects(after ?? first.next));
  expect([...first.items.map(({ path }) => path), ...rest].sort()).toEqual(there.map(({ path }) => path).sort());
});
