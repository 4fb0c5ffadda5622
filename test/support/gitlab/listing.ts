import { grapeRefusal } from './answer.ts';
import { canSee, levelOf } from './access.ts';
import type { Call } from './call.ts';
import { perPageIn, type Page } from './pagination.ts';
import type { Parameter, Parameters } from './parameters.ts';
import type { Project, User } from './places.ts';
import type { World } from './world.ts';

const ORDERS = ['id', 'name', 'path', 'created_at', 'updated_at', 'last_activity_at'] as const;
const VISIBILITIES = ['private', 'internal', 'public'] as const;

/** What both listings of projects take. */
export const LISTING_PARAMETERS: Record<string, Parameter> = {
  archived: { type: 'boolean' },
  visibility: { type: 'string', values: VISIBILITIES },
  min_access_level: { type: 'integer' },
  owned: { type: 'boolean' },
  search: { type: 'string' },
  simple: { type: 'boolean' },
  order_by: { type: 'string', values: ORDERS },
  sort: { type: 'string', values: ['asc', 'desc'] },
};

/** Whether a listing that was asked for with these parameters shows this project to this user. */
export function isListed(project: Project, user: User, values: Parameters): boolean {
  if (values['archived'] !== undefined && values['archived'] !== project.archived) return false;
  if (values['visibility'] !== undefined && values['visibility'] !== project.visibility) return false;
  if (typeof values['search'] === 'string' && !project.path.toLowerCase().includes(values['search'].toLowerCase()))
    return false;
  const least = Math.max(
    values['membership'] === true ? 1 : 0,
    values['owned'] === true ? 50 : 0,
    typeof values['min_access_level'] === 'number' ? values['min_access_level'] : 0,
  );
  return least > 0 ? levelOf(user.id, project) >= least : canSee(user, project);
}

/** Those listed, in the order asked for, which is the newest first when nothing is. */
export function listed(projects: Iterable<Project>, user: User, values: Parameters): Project[] {
  const key = values['order_by'];
  const sign = values['sort'] === 'asc' ? 1 : -1;
  // Two of the same moment GitLab tells apart by their ids.
  const rank = (project: Project): string | number =>
    key === 'name' || key === 'path' ? project[key] : key === 'id' ? project.id : project.createdAt;
  return [...projects]
    .filter((project) => isListed(project, user, values))
    .sort((a, b) => {
      const [first, second] = [rank(a), rank(b)];
      return first === second ? sign * (a.id - b.id) : first < second ? -sign : sign;
    });
}

/**
 * One page of all projects by their ids. Like GitLab's, its Link leads on until a page is empty.
 * @throws Refusal 405 for another order
 */
export function keysetPage(call: Call, values: Parameters): Page<Project> {
  if (values['order_by'] !== 'id')
    throw grapeRefusal(405, 'Keyset pagination is not yet available for this type of request');
  const perPage = perPageIn(values);
  const ascending = values['sort'] === 'asc';
  const items: Project[] = [];
  for (const project of walk(call.world, ascending, values)) {
    if (!isListed(project, call.user, values)) continue;
    items.push(project);
    if (items.length === perPage) break;
  }
  const last = items.at(-1);
  if (last === undefined) return { items, headers: {} };
  const next = call.pageUrl({ [ascending ? 'id_after' : 'id_before']: last.id, per_page: perPage });
  return { items, headers: { Link: `<${next}>; rel="next"` } };
}

function* walk({ projectIds, projects }: World, ascending: boolean, values: Parameters): Generator<Project> {
  const after = typeof values['id_after'] === 'number' ? values['id_after'] : -Infinity;
  const before = typeof values['id_before'] === 'number' ? values['id_before'] : Infinity;
  const first = firstAbove(projectIds, after);
  const end = before === Infinity ? projectIds.length : firstAbove(projectIds, before - 1);
  for (let step = 0; step < end - first; step++) {
    const project = projects.get(projectIds[ascending ? first + step : end - 1 - step]!);
    if (project !== undefined) yield project;
  }
}

/** Where in the ascending ids the first one above this is. */
function firstAbove(ids: readonly number[], id: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle]! > id) high = middle;
    else low = middle + 1;
  }
  return low;
}
