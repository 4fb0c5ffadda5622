import type { Answer } from './answer.ts';
import { forbidden, notFound, Refusal } from './answer.ts';
import { canSee, mayAtLeast } from './access.ts';
import type { Surroundings } from './deliver.ts';
import type { OwnerKind } from './hook-events.ts';
import type { PageUrl } from './pagination.ts';
import { declared, type Parameter, type Parameters } from './parameters.ts';
import type { Scope } from './tokens.ts';
import type { Group, Owner, Project, User } from './places.ts';
import type { World } from './world.ts';

/** One request that a route works at. */
export interface Call {
  world: World;
  within: Surroundings;
  user: User;
  /** Of the path, decoded. */
  segments: Record<string, string>;
  /** Of query and body. */
  given: Parameters;
  pageUrl: PageUrl;
  /** The address of this request with another `:id`. */
  urlWithId(id: number): string;
  noteUnknown(name: string): void;
}

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Such as `/projects/:id/hooks`. */
  path: string;
  /** Beyond those for every GET (`api`, `read_api`) and for everything else (`api`). */
  scopes?: readonly Scope[];
  /** Whether this GitLab has it. */
  exists?: (within: Surroundings) => boolean;
  work(call: Call): Answer | Promise<Answer>;
}

/** @throws Refusal 400, see parameters.ts */
export function take(call: Call, known: Record<string, Parameter>): Parameters {
  const { values, unknown } = declared(known, call.given, call.within.settings);
  for (const name of unknown) call.noteUnknown(name);
  return values;
}

/**
 * The project or group that the path's `:id` names, by id or path.
 * @throws Refusal 404 when it is not there or not visible, 301 for a project under a path that it had before
 */
export function ownerIn(call: Call, kind: OwnerKind): Owner {
  const { world, user } = call;
  const id = call.segments['id'] ?? '';
  const owner = find(world, kind, id) ?? (kind === 'project' ? world.movedFrom(id) : undefined);
  if (owner === undefined || !canSee(user, owner)) throw notFound(kind === 'project' ? 'Project' : 'Group');
  const asked = /^\d+$/.test(id) || owner.path.toLowerCase() === id.toLowerCase();
  if (asked) return owner;
  const location = call.urlWithId(owner.id);
  const text = `This resource has been moved permanently to ${location}`;
  throw new Refusal({ status: 301, text, headers: { Location: location, 'Content-Type': 'text/plain' } });
}

export const projectIn = (call: Call): Project => ownerIn(call, 'project') as Project;
export const groupIn = (call: Call): Group => ownerIn(call, 'group') as Group;

/** @throws Refusal 403 */
export function demand(call: Call, level: number, owner: Owner): void {
  if (!mayAtLeast(call.user, level, owner)) throw forbidden();
}

function find(world: World, kind: OwnerKind, id: string): Owner | undefined {
  const places: ReadonlyMap<number, Owner> = kind === 'project' ? world.projects : world.groups;
  if (/^\d+$/.test(id)) return places.get(Number(id));
  const owner = world.at(id);
  return owner?.kind === kind ? owner : undefined;
}
