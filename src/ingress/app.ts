import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import type { PublishedEvent } from '../bus/outbox.ts';
import { Publisher } from '../bus/publisher.ts';
import type { ArtefactCache } from '../cache/artefact-cache.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { PAYLOAD_LIMIT } from '../domain/delivery.ts';
import type { Logger } from '../logging.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { limitArrival } from './arrival.ts';
import { addArtefacts } from './artefacts.ts';
import { refuseMalformedAddress, refuseUnreadable } from './client-errors.ts';
import { addCoverage } from './coverage.ts';
import { addEvents } from './events.ts';
import { addGitlabEvents } from './gitlab-events.ts';
import { addHealth, HEALTH_ROUTES } from './health.ts';
import { Problem, problemOf } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What became of the request: one of these two, or neither. */
    stored?: PublishedEvent | undefined;
    problem?: Problem | undefined;
  }
}

export interface IngressOptions {
  db: ForgeflowDatabase;
  token: string;
  logger: Logger;
  metrics: Metrics;
  /** The largest payload, in bytes. */
  bodyLimit?: number;
  /** Where artefacts are kept; null: it is off. */
  cache?: ArtefactCache | null;
  /** What a repository may keep there; 0: without limit. */
  cacheQuotaBytes?: number;
  /** How long a request may take to arrive; artefacts may take longer. */
  arrivesWithinMs?: number | undefined;
}

/** A repository is named by its path in one piece of an address, and those can be long. */
const LONGEST_PARAMETER = 1_000;
/** What `topic`, `id` and white space may take in an envelope, in bytes. */
const ENVELOPE_SIZE = 16 * 1024;

/** The HTTP door. It listens to nothing yet. */
export function createIngress({
  db,
  token,
  logger,
  metrics,
  bodyLimit = PAYLOAD_LIMIT,
  cache = null,
  cacheQuotaBytes = 0,
  arrivesWithinMs,
}: IngressOptions): FastifyInstance {
  const app = fastify({
    requestTimeout: 0, // see `limitArrival`
    return503OnClosing: false, // a request that is here when we are asked to stop is still done
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    clientErrorHandler: refuseUnreadable(logger),
    frameworkErrors: refuseMalformedAddress(logger),
  });
  app.decorateRequest('stored', undefined);
  app.decorateRequest('problem', undefined);

  // Bodies are kept as the bytes that came.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });

  app.addHook('onRequest', (request, _reply, done) => {
    if (request.is404) done(noSuchRoute(app, request));
    else done();
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request.routeOptions.bodyLimit);
    request.problem = problem;
    if (problem.status === 500) logFault(logger, error);
    // Fastify closes the connection under a sender that has not finished, who then may never see the answer; Node reads
    // on and throws away, until the connection has had its time.
    if (reply.hasHeader('connection')) reply.removeHeader('connection');
    return reply.code(problem.status).headers(problem.headers).send({ error: problem.message });
  });
  app.addHook('onResponse', (request, reply, done) => {
    metrics.ingressAnswered({ route: routeOf(request), status: reply.statusCode });
    logAnswer(logger, request, reply.statusCode, Math.round(reply.elapsedTime));
    done();
  });
  closeConnectionsWhenStopping(app);
  limitArrival(app.server, arrivesWithinMs);

  const publisher = new Publisher(db);
  addGitlabEvents(app, { db, publisher, token, bodyLimit });
  addEvents(app, { publisher, token, bodyLimit: bodyLimit + ENVELOPE_SIZE });
  addCoverage(app, { db });
  addArtefacts(app, { db, cache, quotaBytes: cacheQuotaBytes });
  addHealth(app, { db, metrics });
  return app;
}

/** Decided before any body is read. */
function noSuchRoute(app: FastifyInstance, { url }: FastifyRequest): Problem {
  const path = url.split('?')[0] ?? '';
  const allowed = ['GET', 'POST'].filter((method) => app.hasRoute({ method, url: path }));
  if (allowed.length === 0) return new Problem(404, 'no such address', 'there is nothing at this address');
  const sentence = `this address takes only ${allowed.join(', ')}`;
  return new Problem(405, 'wrong method', sentence, { allow: allowed.join(', ') });
}

/** Our name of the route. Not the path, in which a sender may have put anything, a token too. */
function routeOf(request: FastifyRequest): string {
  return request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown');
}

function logAnswer(logger: Logger, request: FastifyRequest, status: number, durationMs: number): void {
  const route = routeOf(request);
  if (request.problem !== undefined) {
    logger.warn('request refused', { route, status, reason: request.problem.reason, durationMs });
  } else if (request.stored !== undefined) {
    logger.debug('event stored', { route, status, ...request.stored, durationMs });
  } else if (!HEALTH_ROUTES.includes(route)) {
    logger.debug('request answered', { route, status, durationMs });
  }
}

/** Where it happened, and not the message, which may quote what was sent. */
function logFault(logger: Logger, error: unknown): void {
  const { name = 'unknown', stack = '' } = error instanceof Error ? error : {};
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const frames = stack.split('\n').filter((line) => /^ +at /.test(line));
  logger.error('a request failed', { fault: name, code, at: frames.slice(0, 8).map((line) => line.trim()) });
}

/** Node closes those that wait for a next request. The others would keep us from stopping for as long as they like. */
function closeConnectionsWhenStopping(app: FastifyInstance): void {
  const connections = new Set<Socket>();
  app.server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  let stopping = false;
  app.addHook('preClose', (done) => {
    stopping = true;
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy(); // it never asked for anything
    done();
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (stopping) void reply.header('connection', 'close');
    done();
  });
}
