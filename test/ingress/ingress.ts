import { DefaultLogger } from '@temporalio/worker';
import type { FastifyInstance } from 'fastify';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { createIngress, type IngressOptions } from '../../src/ingress/app.ts';
import type { Logger } from '../../src/logging.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

export const TOKEN = 'the-token-of-this-test-ingress';

export interface LogLine {
  level: string;
  message: string;
  meta: Record<string, unknown>;
}

export interface TestIngress {
  url: string;
  app: FastifyInstance;
  database: TestDatabase;
  log: LogLine[];
  stop(): Promise<void>;
}

/** An ingress that listens to a free port of this machine, on a database of its own. */
export async function startTestIngress(
  options: Pick<IngressOptions, 'bodyLimit' | 'cache' | 'cacheQuotaBytes' | 'arrivesWithinMs'> = {},
): Promise<TestIngress> {
  const database = await cloneDatabase();
  const { logger, log } = logInMemory();
  const metrics = createMetrics({ db: database.db });
  const app = createIngress({ db: database.db, token: TOKEN, logger, metrics, ...options });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    app,
    database,
    log,
    async stop() {
      await app.close();
      await database.drop();
    },
  };
}

export function logInMemory(): { logger: Logger; log: LogLine[] } {
  const log: LogLine[] = [];
  const logger = new DefaultLogger('TRACE', ({ level, message, meta = {} }) => {
    log.push({ level, message, meta });
  });
  return { logger, log };
}

export interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

export async function post(url: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** As GitLab does, with the token of a hook that somebody made by hand. */
export async function postAsGitlab(
  { url }: { url: string },
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return post(`${url}/gitlab/events`, body, { 'X-Gitlab-Token': TOKEN, ...headers });
}

/** As any application does. */
export async function postEvent(
  { url }: { url: string },
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return post(`${url}/events`, body, { authorization: `Bearer ${TOKEN}`, ...headers });
}

export async function storedEvents(db: ForgeflowDatabase) {
  return db.selectFrom('events').selectAll().orderBy('created_at').orderBy('id').execute();
}

export async function countEvents(db: ForgeflowDatabase): Promise<number> {
  return (await storedEvents(db)).length;
}

export function eventIdOf({ body }: Answer): string {
  return (body as { eventId: string }).eventId;
}
