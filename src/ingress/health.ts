import type { FastifyInstance } from 'fastify';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { pendingMigrations } from '../database/migrate.ts';
import { within } from '../deadline.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { Problem, problemOf } from './problem.ts';

export interface HealthOptions {
  db: ForgeflowDatabase;
  metrics: Metrics;
}

export const HEALTH_ROUTES: readonly string[] = ['/healthz', '/readyz', '/metrics'];

const READY_WITHIN_MS = 2_000;

export function addHealth(app: FastifyInstance, { db, metrics }: HealthOptions): void {
  // Nothing of the outside: whoever restarts a process that is not healthy would gain nothing while Postgres is away.
  app.get('/healthz', () => ({ healthy: true }));

  app.get('/readyz', async () => {
    const pending = await within(READY_WITHIN_MS, () => pendingMigrations(db)).catch((error: unknown) => {
      const { reason } = problemOf(error);
      throw new Problem(503, reason, `the database does not answer as it should (${reason})`);
    });
    if (pending.length > 0) {
      const sentence = `the database lacks ${pending.join(', ')}; run "forgeflow migrate"`;
      throw new Problem(503, 'database not migrated', sentence);
    }
    return { ready: true };
  });

  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.contentType).send(await metrics.text()),
  );
}
