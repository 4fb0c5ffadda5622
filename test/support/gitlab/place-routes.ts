import { grapeRefusal, ok } from './answer.ts';
import { projectsUnder } from './access.ts';
import { groupIn, projectIn, take, type Call, type Route } from './call.ts';
import { keysetPage, listed, LISTING_PARAMETERS } from './listing.ts';
import { offsetPage, PAGE_PARAMETERS, pageIn, perPageIn } from './pagination.ts';
import type { Parameters } from './parameters.ts';
import { groupJson, projectJson, userJson } from './place-json.ts';
import type { Project } from './places.ts';
import type { World } from './world.ts';

/** Beyond it only keyset paging goes on. */
const LARGEST_OFFSET = 50_000;

/** Users, groups and projects themselves. */
export const placeRoutes: Route[] = [
  { method: 'GET', path: '/user', scopes: ['read_user'], work: (call) => ok(userJson(call.user, call)) },
  {
    method: 'GET',
    path: '/version',
    scopes: ['read_user'],
    work: ({ within }) => ok({ version: within.settings.version }),
  },
  { method: 'GET', path: '/groups/:id', work: showGroup },
  { method: 'GET', path: '/groups/:id/projects', work: listGroupProjects },
  { method: 'GET', path: '/projects', work: listProjects },
  { method: 'GET', path: '/projects/:id', work: showProject },
];

function showGroup(call: Call) {
  const group = groupIn(call);
  const { with_projects: withProjects = true } = take(call, { with_projects: { type: 'boolean' } });
  const projects = withProjects === true ? listed(group.projects, call.user, {}).slice(0, 100) : undefined;
  return ok({
    ...groupJson(group, call),
    ...(projects && { projects: projects.map((project) => projectJson(project, call)) }),
  });
}

function showProject(call: Call) {
  const project = projectIn(call);
  take(call, { statistics: { type: 'boolean' }, license: { type: 'boolean' } });
  return ok(projectJson(project, call));
}

function listProjects(call: Call) {
  const values = take(call, {
    ...LISTING_PARAMETERS,
    ...PAGE_PARAMETERS,
    membership: { type: 'boolean' },
    id_after: { type: 'integer' },
    id_before: { type: 'integer' },
    pagination: { type: 'string', values: ['keyset', 'legacy'] },
  });
  if (values['pagination'] === 'keyset') return page(call, values, keysetPage(call, values));
  if (pageIn(values) * perPageIn(values) > LARGEST_OFFSET) {
    const told = `Offset pagination has a maximum allowed offset of ${LARGEST_OFFSET} for requests that return objects of type Project. Remaining records can be retrieved using keyset pagination.`;
    throw grapeRefusal(405, told);
  }
  const after = Number(values['id_after'] ?? -Infinity);
  const before = Number(values['id_before'] ?? Infinity);
  const all = remembered(call, values, () =>
    [...call.world.projects.values()].filter(({ id }) => id > after && id < before),
  );
  return page(call, values, offsetPage(all, values, call.pageUrl));
}

function listGroupProjects(call: Call) {
  const group = groupIn(call);
  const values = take(call, {
    ...LISTING_PARAMETERS,
    ...PAGE_PARAMETERS,
    include_subgroups: { type: 'boolean' },
    with_shared: { type: 'boolean' },
  });
  const all = remembered(call, values, () => {
    const own = values['include_subgroups'] === true ? projectsUnder(group) : [...group.projects];
    if (values['with_shared'] === false) return own;
    const shared = [...call.world.projects.values()].filter(({ shares }) =>
      shares.some((share) => share.group === group),
    );
    return new Set([...own, ...shared]);
  });
  return page(call, values, offsetPage(all, values, call.pageUrl));
}

function page(
  call: Call,
  values: Parameters,
  { items, headers }: { items: Project[]; headers: Record<string, string> },
) {
  const simple = values['simple'] === true;
  return ok(
    items.map((project) => projectJson(project, call, { simple })),
    headers,
  );
}

/** So that a thousand pages of one listing do not sort 100,000 projects a thousand times. */
const memory = new WeakMap<World, { revision: number; listings: Map<string, Project[]> }>();

function remembered(call: Call, values: Parameters, projects: () => Iterable<Project>): Project[] {
  const { world, user, segments } = call;
  let known = memory.get(world);
  if (known?.revision !== world.revision) {
    known = { revision: world.revision, listings: new Map() };
    memory.set(world, known);
  }
  const key = JSON.stringify([user.id, segments, { ...values, page: null, per_page: null }]);
  const listing = known.listings.get(key) ?? listed(projects(), user, values);
  known.listings.set(key, listing);
  return listing;
}
