import { createHash, randomBytes } from 'node:crypto';
import type { Database } from '../database/connection.ts';
import { setRepositoryTokenHash } from '../database/repository-tokens.ts';
import type { TrackedRepository } from '../database/tracked-repositories.ts';
import { Refusal } from '../domain/refusal.ts';
import { requireTracked } from './tracked-repository.ts';

/** The token by which the CI of a repository sends coverage and uses the cache. It is shown this once. */
export interface RepositoryToken {
  repository: string;
  token: string;
}

/** By which people, and programs that look for leaked secrets, know what it is. */
const PREFIX = 'ffr_';

/** Makes a new one, and the one before is worth nothing any more. @throws Refusal `not_found` */
export async function createRepositoryToken(db: Database, path: string): Promise<RepositoryToken> {
  const token = PREFIX + randomBytes(32).toString('base64url');
  const { path: repository } = await keep(db, path, createHash('sha256').update(token).digest());
  return { repository, token };
}

/** Takes it away: the repository has none then. @throws Refusal `not_found` */
export async function revokeRepositoryToken(db: Database, path: string): Promise<void> {
  await keep(db, path, null);
}

async function keep(db: Database, path: string, hash: Buffer | null): Promise<TrackedRepository> {
  const found = await requireTracked(db, path);
  if (!(await setRepositoryTokenHash(db, found.id, hash)))
    throw new Refusal('not_found', `the repository ${found.path} was removed meanwhile`, 'repository');
  return found;
}
