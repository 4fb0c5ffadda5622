import { openCache } from '../cache/open-cache.ts';
import { type Config, ConfigError, required } from '../config.ts';
import { openDatabase } from '../database/connection.ts';
import type { Logger } from '../logging.ts';
import { within } from '../deadline.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import { createIngress } from './app.ts';

export interface IngressProcessOptions {
  config: Config;
  logger: Logger;
  /** The address to listen to; that of every network of this machine when left out. */
  host?: string;
  /** `config.ingressPort` when left out. */
  port?: number;
  /** Those of the process, where it has some already. */
  metrics?: Metrics;
}

export interface RunningIngress {
  /** As this machine reaches it. */
  url: string;
  /** Takes no new connections, and resolves when the requests in flight are answered. */
  stop(): Promise<void>;
}

const MOST_CONNECTIONS = 10;
/** Longer than storing an event may take; what then is still arriving is broken off, and its sender has no answer. */
const STOP_WITHIN_MS = 10_000;
const DISCONNECT_WITHIN_MS = 1_000;

/**
 * Puts an ingress together and lets it listen. Postgres may be away: it says 503 until it is there.
 * @throws ConfigError for what is missing
 */
export async function startIngressProcess({
  config,
  logger,
  host = '0.0.0.0',
  port = config.ingressPort,
  metrics: given,
}: IngressProcessOptions): Promise<RunningIngress> {
  const databaseUrl = required('DATABASE_URL', config.databaseUrl);
  const token = required('INGRESS_TOKEN', config.ingressToken, 'it is not set (make one: openssl rand -hex 32)');
  const db = openDatabase(databaseUrl, {
    maxConnections: MOST_CONNECTIONS,
    onIdleError: (error) => {
      logger.warn('a database connection broke', { problem: error.message });
    },
  });
  const app = createIngress({
    db,
    token,
    logger,
    metrics: given ?? createMetrics({ db }),
    cache: openCache(config.cache, config.storageDirectory),
    cacheQuotaBytes: config.cacheQuotaBytes,
  });
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    await db.destroy();
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new ConfigError('INGRESS_PORT', `another program listens to port ${port} already`);
    }
    throw error;
  }
  const address = app.server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : port;
  return {
    url: `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${taken}`,
    async stop() {
      const breakOff = setTimeout(() => {
        app.server.closeAllConnections();
      }, STOP_WITHIN_MS);
      await app.close();
      clearTimeout(breakOff);
      // A connection on which Postgres never answers would hold this up for ever.
      await within(DISCONNECT_WITHIN_MS, () => db.destroy()).catch(() => undefined);
    },
  };
}
