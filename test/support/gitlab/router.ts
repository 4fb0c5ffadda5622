import { grapeRefusal, routeNotFound } from './answer.ts';
import type { Route } from './call.ts';
import type { Surroundings } from './deliver.ts';
import { hookRoutes } from './hook-routes.ts';
import { memberRoutes } from './member-routes.ts';
import { mergeRequestRoutes } from './merge-request-routes.ts';
import { placeRoutes } from './place-routes.ts';
import { userRoutes } from './user-routes.ts';

const ROUTES = [
  ...placeRoutes,
  ...userRoutes,
  ...mergeRequestRoutes,
  ...memberRoutes('project'),
  ...memberRoutes('group'),
  ...hookRoutes('project'),
  ...hookRoutes('group'),
].map((route) => ({ route, parts: route.path.split('/') }));

export interface Match {
  route: Route;
  segments: Record<string, string>;
}

/**
 * @param path as it came, still encoded: a slash within an id is `%2F`
 * @throws Refusal 404 for what this GitLab does not have, 405 for a method the path has not
 */
export function match(method: string, path: string, within: Surroundings): Match {
  const given = path.split('/');
  const matches = ROUTES.flatMap(({ route, parts }) => {
    const segments = segmentsIn(given, parts);
    const exists = route.exists === undefined || route.exists(within);
    return segments !== undefined && exists ? [{ route, segments }] : [];
  });
  if (matches.length === 0) throw routeNotFound();
  const found = matches.find(({ route }) => route.method === method);
  if (found !== undefined) return found;
  const allowed = [...new Set(matches.map(({ route }) => route.method))].join(', ');
  throw grapeRefusal(405, '405 Not Allowed', { Allow: allowed });
}

function segmentsIn(given: string[], parts: string[]): Record<string, string> | undefined {
  if (given.length !== parts.length) return undefined;
  const segments: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const text = given[index] ?? '';
    if (!part.startsWith(':')) {
      if (part !== text) return undefined;
    } else {
      const value = decoded(text);
      if (value === undefined || value === '') return undefined;
      segments[part.slice(1)] = value;
    }
  }
  return segments;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
