import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CoverageError } from '../coverage/coverage-error.ts';
import { type ReceivedReport, receiveReport } from '../coverage/receive.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { type NewReport, storeReport } from '../database/coverage-reports.ts';
import type { TrackedRepository } from '../database/tracked-repositories.ts';
import { within } from '../deadline.ts';
import { COVERAGE_LIMIT } from '../domain/coverage.ts';
import { acceptanceOf, type AcceptedReport, checkSha } from '../domain/coverage-report.ts';
import { takeTime, watched } from './arrival.ts';
import { databaseAway, Problem } from './problem.ts';
import { authorize } from './repository-token.ts';
import { STORE_WITHIN_MS } from './store.ts';

/** `POST /repositories/:id/coverage?sha=…`: a report of LCOV or Cobertura as it is, from a repository's CI. */
export function addCoverage(app: FastifyInstance, { db }: { db: ForgeflowDatabase }): void {
  const sentTo = new WeakMap<FastifyRequest, TrackedRepository>();
  // A room of its own, for bodies that are read as they come.
  void app.register((room, _options, done) => {
    room.removeAllContentTypeParsers();
    room.addContentTypeParser('*', (_request, payload, parsed) => {
      parsed(null, payload);
    });
    room.post<{ Querystring: { sha?: unknown } }>('/repositories/:id/coverage', {
      async onRequest(request) {
        delete request.raw.headers['content-type']; // reports come with all sorts of them, malformed ones too
        sentTo.set(request, await authorize(request, db));
        checkSha(request.query.sha);
        if (Number(request.headers['content-length']) > COVERAGE_LIMIT) throw tooLarge();
      },
      async handler(request, reply) {
        const repository = sentTo.get(request);
        if (repository === undefined) throw new Error('a report was let in without its repository');
        const sha = checkSha(request.query.sha);
        takeTime(request.raw);
        const received = await receive(request.raw);
        const report = await store(db, { repositoryId: repository.id, sha, ...received });
        return reply.code(202).send(report);
      },
    });
    done();
  });
}

/** @throws Problem that says nothing of the body but the line */
async function receive(raw: IncomingMessage): Promise<ReceivedReport> {
  try {
    return await receiveReport(bodyOf(raw));
  } catch (error) {
    raw.resume(); // the rest is read and thrown away, or the sender, who is still sending, would not see the answer
    if (error instanceof CoverageError) throw new Problem(422, 'no coverage report', `report: ${error.message}`);
    if (raw.destroyed && !raw.complete)
      throw new Problem(400, 'body broken off', 'body: the connection broke before its end');
    if (isOfZlib(error)) throw new Problem(400, 'body not gzip', 'body: it is not gzip, as Content-Encoding says');
    throw error;
  }
}

function bodyOf(raw: IncomingMessage): AsyncIterable<Uint8Array> {
  const encoding = raw.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const bytes = watched(raw, () => undefined);
  if (encoding === 'identity' || encoding === '') return bytes;
  if (encoding !== 'gzip' && encoding !== 'x-gzip')
    throw new Problem(415, 'unknown encoding', 'Content-Encoding: it is neither gzip nor identity');
  return unpacked(bytes);
}

async function* unpacked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = pipeline(bytes, createGunzip(), () => undefined); // its error comes out of the iteration below
  for await (const piece of gunzip) yield piece as Uint8Array;
}

async function store(db: ForgeflowDatabase, report: NewReport): Promise<AcceptedReport> {
  const stored = await within(STORE_WITHIN_MS, (isLate) =>
    db.transaction().execute(async (transaction) => {
      if (isLate()) throw databaseAway('no free connection');
      return storeReport(transaction, report);
    }),
  );
  if (stored === undefined)
    throw new Problem(404, 'unknown repository', 'repository: it was removed while its report came');
  return acceptanceOf(stored);
}

function tooLarge(): Problem {
  return new Problem(413, 'body too large', `report: it is larger than ${COVERAGE_LIMIT} bytes (50 MiB)`);
}

function isOfZlib(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}
