import pRetry from 'p-retry';
import { ConfigError } from './config.ts';
import { type ForgeflowDatabase, isConnectionFault } from './database/connection.ts';
import { pendingMigrations } from './database/migrate.ts';
import { someSealedSecrets } from './database/subscriptions.ts';
import type { Logger } from './logging.ts';
import type { Sealer } from './secrets/sealer.ts';
import { UnreachableError } from './temporal/connection.ts';

/** Nothing is lost while Postgres or Temporal are away, so a worker that starts meanwhile waits for them, as it would later. */
export async function onceAvailable<T>(logger: Logger, attempt: () => Promise<T>): Promise<T> {
  return pRetry(attempt, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 250,
    maxTimeout: 5_000,
    shouldRetry: ({ error }) => isAway(error),
    onFailedAttempt({ error, attemptNumber }) {
      if (attemptNumber === 1 && isAway(error))
        logger.warn('the worker is idle until its services answer', { problem: error.message });
    },
  });
}

function isAway(error: unknown): boolean {
  return isConnectionFault(error) || error instanceof UnreachableError;
}

/** What would make every attempt fail is better said at once. */
export async function checkDatabase(db: ForgeflowDatabase, sealer: Sealer): Promise<void> {
  const pending = await pendingMigrations(db);
  if (pending.length > 0) throw new Error(`the database lacks ${pending.join(', ')}; run "forgeflow migrate" first`);
  const sealed = await someSealedSecrets(db, KEY_TRIED_ON);
  if (sealed.length > 0 && !sealed.some((secret) => opens(sealer, secret))) {
    throw new ConfigError('SECRETS_KEY', 'it is not the key that the secrets in the database were sealed with');
  }
}

/** One secret that does not open is the trouble of its subscription alone; when none of so many does, it is the key. */
const KEY_TRIED_ON = 20;

function opens(sealer: Sealer, sealed: Buffer): boolean {
  try {
    sealer.open(sealed);
    return true;
  } catch {
    return false;
  }
}
