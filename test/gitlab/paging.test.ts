import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GitlabBadAnswer } from '../../src/gitlab/errors.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { shownHook } from './hook-body.ts';
import { clientOf, type ScriptedGitlab, startScriptedGitlab } from './scripted-gitlab.ts';

const project: GitlabOwner = { kind: 'project', gitlabId: 5 };
const place = { id: 5, path_with_namespace: 'a/b' };
let gitlab: ScriptedGitlab;

beforeEach(async () => {
  gitlab = await startScriptedGitlab();
});
afterEach(async () => {
  await gitlab.close();
});

const paths = (): string[] => gitlab.requests.map(({ method, path }) => `${method} ${path.replace('/api/v4', '')}`);

describe('pages', () => {
  test('of hooks are read to the last one, a hook that slipped across a border once', async () => {
    const hooks = (...ids: number[]): unknown[] => ids.map((id) => ({ ...shownHook, id }));
    gitlab.script(
      { headers: { 'x-next-page': '2' }, body: hooks(1, 2) },
      { headers: { 'x-next-page': '' }, body: hooks(2, 3) },
    );
    expect((await clientOf(gitlab).listHooks(project)).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(paths()).toEqual(['GET /projects/5/hooks?page=1&per_page=100', 'GET /projects/5/hooks?page=2&per_page=100']);
  });

  test('are found by the Link header where X-Next-Page does not come through', async () => {
    const link = `<http://elsewhere.example.com/api/v4/projects/5/hooks?page=2&per_page=100>; rel="next", <x>; rel="last"`;
    gitlab.script({ headers: { link }, body: [] }, { body: [] });
    await clientOf(gitlab).listHooks(project);
    expect(gitlab.requests).toHaveLength(2);
  });

  test.each(['1', '0', '-2', '7', 'x'])('after page 1 comes page 2, not `%s`', async (next) => {
    gitlab.script({ headers: { 'x-next-page': next }, body: [] });
    await expect(clientOf(gitlab).listHooks(project)).rejects.toBeInstanceOf(GitlabBadAnswer);
    expect(gitlab.requests).toHaveLength(1);
  });

  test('without end come to one', async () => {
    gitlab.script((response, { path }) => {
      const page = Number(new URL(path, gitlab.url).searchParams.get('page'));
      response.writeHead(200, { 'content-type': 'application/json', 'x-next-page': String(page + 1) }).end('[]');
    });
    await expect(clientOf(gitlab).listHooks(project)).rejects.toThrow('has no end');
    expect(gitlab.requests).toHaveLength(100);
  });

  test("of a group's projects leave out archived and shared ones", async () => {
    gitlab.script({ headers: { 'x-next-page': '4' }, body: [place] });
    const page = await clientOf(gitlab).groupProjects(6, 3);
    expect(page).toEqual({ items: [{ gitlabId: 5, path: 'a/b' }], next: 4, total: null });
    const { pathname, searchParams } = new URL(gitlab.requests[0]!.path, gitlab.url);
    expect(pathname).toBe('/api/v4/groups/6/projects');
    expect(Object.fromEntries(searchParams)).toEqual({
      include_subgroups: 'true',
      with_shared: 'false',
      archived: 'false',
      simple: 'true',
      order_by: 'id',
      sort: 'asc',
      per_page: '100',
      page: '3',
    });
  });

  test('of our own projects are one request each, even where a page is not full', async () => {
    const link = `<${gitlab.url}/api/v4/projects?id_after=5&pagination=keyset>; rel="next"`;
    gitlab.script({ headers: { link }, body: [place] }, { body: [] });
    const client = clientOf(gitlab);
    expect(await client.ownProjects(null)).toEqual({ items: [{ gitlabId: 5, path: 'a/b' }], next: 5 });
    expect(gitlab.requests).toHaveLength(1);
    expect(await client.ownProjects(5)).toEqual({ items: [], next: null });
    const { pathname, searchParams } = new URL(gitlab.requests[1]!.path, gitlab.url);
    expect(pathname).toBe('/api/v4/projects');
    expect(Object.fromEntries(searchParams)).toEqual({
      membership: 'true',
      min_access_level: '40',
      archived: 'false',
      simple: 'true',
      pagination: 'keyset',
      order_by: 'id',
      sort: 'asc',
      per_page: '100',
      id_after: '5',
    });
  });

  test.each(['4', 'x', '-1', '1e99'])('of our own projects do not go back to those after `%s`', async (after) => {
    const link = `<${gitlab.url}/api/v4/projects?id_after=${after}>; rel="next"`;
    gitlab.script({ headers: { link }, body: [place] });
    await expect(clientOf(gitlab).ownProjects(null)).rejects.toBeInstanceOf(GitlabBadAnswer);
  });
});
