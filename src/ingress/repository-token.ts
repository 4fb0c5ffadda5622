import { timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { findRepositoryTokenHash } from '../database/repository-tokens.ts';
import { findTracked, findTrackedByPath, type TrackedRepository } from '../database/tracked-repositories.ts';
import { within } from '../deadline.ts';
import { Problem } from './problem.ts';
import { STORE_WITHIN_MS } from './store.ts';
import { bearerOf, digestOf } from './tokens.ts';

/** Postgres answers a larger one with an error. */
const LARGEST_ID = 2_147_483_647;

/**
 * The repository that an address is of, whose own token the request carries. To be asked before anything of the body is read.
 * @param request of a route with the parameter `id`: our id of the repository, or its path, URL-encoded (`acme%2Fshop`)
 * @throws Problem 404 for a repository that is not tracked, whatever the token; 401 for a token that is not its own
 */
export async function authorize(request: FastifyRequest, db: ForgeflowDatabase): Promise<TrackedRepository> {
  const { id = '' } = request.params as { id?: string };
  const repository = await within(STORE_WITHIN_MS, () => findByAddress(db, id));
  if (repository === undefined) {
    const sentence =
      'repository: there is no tracked one by this id or path; a path is one piece of the address, group%2Fproject';
    throw new Problem(404, 'unknown repository', sentence);
  }
  const given = bearerOf(request.headers);
  const right =
    given === undefined ? null : await within(STORE_WITHIN_MS, () => findRepositoryTokenHash(db, repository.id));
  if (given === undefined || right === null || !timingSafeEqual(digestOf(given), right)) {
    const sentence =
      'Authorization: it is not "Bearer" and the token of this repository, as "forgeflow repositories token" makes one';
    throw new Problem(401, 'wrong token', sentence, { 'www-authenticate': 'Bearer' });
  }
  return repository;
}

async function findByAddress(db: ForgeflowDatabase, id: string): Promise<TrackedRepository | undefined> {
  if (id.includes('\0')) return undefined; // no text to Postgres
  if (!/^\d+$/.test(id)) return findTrackedByPath(db, id);
  return Number(id) <= LARGEST_ID ? findTracked(db, Number(id)) : undefined;
}
