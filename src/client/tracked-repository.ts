import type { Database } from '../database/connection.ts';
import { findTrackedByPath, type TrackedRepository } from '../database/tracked-repositories.ts';
import { invalid, Refusal } from '../domain/refusal.ts';

/** The tracked repository that somebody names by its path. @throws Refusal `not_found`, or of an empty path */
export async function requireTracked(db: Database, path: string): Promise<TrackedRepository> {
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  if (trimmed === '') throw invalid('repository', 'it is empty');
  const found = await findTrackedByPath(db, trimmed);
  if (found === undefined) throw notTracked(path);
  return found;
}

export function notTracked(path: string): Refusal {
  return new Refusal(
    'not_found',
    `no repository ${JSON.stringify(path)} is tracked; "forgeflow repositories list" shows those that are`,
    'repository',
  );
}
