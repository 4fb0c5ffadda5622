import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ArtefactCache, CacheError } from '../cache/artefact-cache.ts';
import { keyProblem } from '../cache/artefact-name.ts';
import { requestEviction } from '../database/artefacts.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import type { TrackedRepository } from '../database/tracked-repositories.ts';
import { within } from '../deadline.ts';
import { ARTEFACT_LIMIT } from '../domain/eviction.ts';
import { invalid } from '../domain/refusal.ts';
import { takeTime, watched } from './arrival.ts';
import { Problem } from './problem.ts';
import { authorize } from './repository-token.ts';
import { STORE_WITHIN_MS } from './store.ts';

export interface ArtefactsOptions {
  db: ForgeflowDatabase;
  /** Null: it is off. */
  cache: ArtefactCache | null;
  /** What a repository may keep there, in bytes; 0: without limit. */
  quotaBytes: number;
}

interface Addressed {
  repository: TrackedRepository;
  cache: ArtefactCache;
  key: string;
}

/** `/repositories/:id/artefacts/:key`: what a repository's CI keeps from one run to the next. */
export function addArtefacts(app: FastifyInstance, { db, cache: theCache, quotaBytes }: ArtefactsOptions): void {
  const addressed = new WeakMap<FastifyRequest, Addressed>();
  const addressOf = (request: FastifyRequest): Addressed => {
    const address = addressed.get(request);
    if (address === undefined) throw new Error('a request for an artefact was let in without its repository');
    return address;
  };
  /** Before anything of a body is read. */
  async function onRequest(request: FastifyRequest): Promise<void> {
    const repository = await authorize(request, db);
    if (theCache === null) throw new Problem(404, 'cache off', 'the cache is off (CACHE)');
    const { key } = request.params as { key?: string };
    const problem = key === undefined ? null : keyProblem(key);
    if (problem !== null) throw invalid('key', `it ${problem}`);
    if (request.method === 'PUT') checkLength(request.headers['content-length'], quotaBytes);
    addressed.set(request, { repository, cache: theCache, key: key ?? '' });
  }

  void app.register((room, _options, done) => {
    room.addHook('onRequest', (request, _reply, next) => {
      delete request.raw.headers['content-type']; // artefacts are bytes, whatever is said of them
      next();
    });
    room.removeAllContentTypeParsers();
    room.addContentTypeParser('*', (_request, payload, parsed) => {
      parsed(null, payload);
    });

    room.get('/repositories/:id/artefacts', { onRequest }, async (request, reply) => {
      const { repository, cache } = addressOf(request);
      const artefacts = await asked(cache.list(repository.id, brokenOff(reply)));
      return {
        artefacts: artefacts
          .sort((one, other) => other.lastUsedAt - one.lastUsedAt)
          .map((one) => ({ ...one, lastUsedAt: new Date(one.lastUsedAt).toISOString() })),
        bytes: artefacts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        quotaBytes: quotaBytes === 0 ? null : quotaBytes,
      };
    });

    // Before GET, which would answer it otherwise, and count it as a use.
    room.head('/repositories/:id/artefacts/:key', { onRequest }, async (request, reply) => {
      const { repository, cache, key } = addressOf(request);
      const found = await asked(cache.find(repository.id, key, brokenOff(reply)));
      if (found === null) throw noSuchArtefact();
      return reply.headers(headersOf(found.sizeBytes)).send();
    });

    room.get('/repositories/:id/artefacts/:key', { onRequest }, async (request, reply) => {
      const { repository, cache, key } = addressOf(request);
      const found = await asked(cache.get(repository.id, key, brokenOff(reply)));
      if (found === null) throw noSuchArtefact();
      return reply.headers(headersOf(found.sizeBytes)).send(found.content);
    });

    room.put('/repositories/:id/artefacts/:key', { onRequest }, async (request, reply) => {
      const { repository, cache, key } = addressOf(request);
      takeTime(request.raw);
      const sizeBytes = Number(request.headers['content-length']);
      await receive(request, (content, signal) => cache.put(repository.id, { key, sizeBytes, content }, signal));
      // Whoever removed the repository meanwhile has emptied its cache before this was there.
      const isTracked = await within(STORE_WITHIN_MS, () =>
        requestEviction(db, repository.id, { isNeeded: quotaBytes > 0 }),
      ).catch(async (error: unknown) => {
        await cache.delete(repository.id, key);
        throw error;
      });
      if (!isTracked) {
        await asked(cache.delete(repository.id, key));
        throw new Problem(404, 'unknown repository', 'repository: it was removed while its artefact came');
      }
      return reply.code(201).send({ key, sizeBytes });
    });

    room.delete('/repositories/:id/artefacts/:key', { onRequest }, async (request, reply) => {
      const { repository, cache, key } = addressOf(request);
      await asked(cache.delete(repository.id, key, undefined, brokenOff(reply)));
      return reply.code(204).send();
    });
    done();
  });
}

function checkLength(length: string | undefined, quotaBytes: number): void {
  if (length === undefined)
    throw new Problem(411, 'no length', 'Content-Length: it is missing; an artefact says how long it is');
  if (Number(length) > ARTEFACT_LIMIT)
    throw new Problem(413, 'body too large', `artefact: it is larger than ${ARTEFACT_LIMIT} bytes (5 GiB)`);
  if (quotaBytes > 0 && Number(length) > quotaBytes)
    throw new Problem(413, 'larger than quota', `artefact: it is larger than the quota of ${quotaBytes} bytes`);
}

/** @throws Problem where the sender hangs up, or sends nothing for too long */
async function receive(
  request: FastifyRequest,
  put: (content: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { raw } = request;
  const stalled = new AbortController();
  const content = watched(raw, () => {
    stalled.abort(new Problem(408, 'body too slow', 'the request took too long to arrive'));
  });
  try {
    await asked(put(content, stalled.signal));
  } catch (error) {
    stalled.signal.throwIfAborted();
    if (raw.destroyed && !raw.complete)
      throw new Problem(400, 'body broken off', 'body: the connection broke before its end');
    raw.resume(); // the rest is read and thrown away, or the sender, who is still sending, would not see the answer
    throw error;
  }
}

/** Whoever asked has hung up, or has the answer. */
function brokenOff({ raw }: FastifyReply): AbortSignal {
  const stop = new AbortController();
  raw.once('close', () => {
    stop.abort(new Problem(400, 'asker gone', 'the connection broke before the answer'));
  });
  return stop.signal;
}

/** What the cache cannot do now. */
async function asked<T>(doing: Promise<T>): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    if (!(error instanceof CacheError)) throw error;
    const sentence = 'the cache does not answer as it should; send the request again later';
    throw new Problem(503, error.message, sentence, { 'retry-after': '10' });
  }
}

function headersOf(sizeBytes: number): Record<string, string | number> {
  return { 'content-type': 'application/octet-stream', 'content-length': sizeBytes };
}

function noSuchArtefact(): Problem {
  return new Problem(404, 'no such artefact', 'key: there is no artefact of that key');
}
