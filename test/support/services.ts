import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { freePort } from '../../src/free-port.ts';
import { startPostgres } from '../../src/dev/postgres-server.ts';
import { findTemporalCli } from '../../src/dev/temporal-cli.ts';
import { WORKFLOWS_ENTRY } from '../../src/temporal/workflow-source.ts';
import { BUNDLE_IN_PROGRAM, buildProgram } from './built-program.ts';

/** What is too dear to be made anew for every test file. */
export interface SharedServices {
  /** A Postgres that holds {@link TEMPLATE_DATABASE}. */
  databaseServerUrl: string;
  /** Path of the Temporal CLI. */
  temporalCli: string;
  /** Path of today's workflow bundle. */
  workflowBundle: string;
}

/** A migrated, empty database; every test file works on a copy of it. */
export const TEMPLATE_DATABASE = 'forgeflow_template';

/** Nothing of it has to outlive a crash. */
export const CARELESS_POSTGRES = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '300',
};

export async function startSharedServices(): Promise<
  SharedServices & {
    /** Path of today's `forgeflow`, built. */
    program: string;
    stop(): Promise<void>;
  }
> {
  const directory = temporaryDirectory('forgeflow-test-');
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(stops.map((end) => end()));
    rmSync(directory, { recursive: true, force: true });
  };
  const packageDirectory = join(directory, 'forgeflow');
  const program = buildProgram(packageDirectory);
  const starting = [
    startTemplate(directory, stops),
    findTemporalCli(),
    bundle(join(packageDirectory, BUNDLE_IN_PROGRAM)),
  ] as const;
  try {
    const [databaseServerUrl, temporalCli, workflowBundle] = await Promise.all(starting);
    return { databaseServerUrl, temporalCli, workflowBundle, program, stop };
  } catch (error) {
    await Promise.allSettled(starting); // another one may still be coming up, and would be left running
    await stop();
    throw error;
  }
}

async function startTemplate(directory: string, stops: (() => Promise<void>)[]): Promise<string> {
  const server = await startPostgres({
    directory: join(directory, 'postgres'),
    port: await freePort(),
    database: TEMPLATE_DATABASE,
    logFile: join(directory, 'postgres.log'),
    settings: CARELESS_POSTGRES,
  });
  stops.push(killedAtExit(server));
  const db = openDatabase(server.url);
  await migrateUp(db).finally(() => db.destroy());
  return server.url;
}

async function bundle(file: string): Promise<string> {
  const logger = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: console.error, log: ignore };
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS_ENTRY, logger });
  writeFileSync(file, code);
  return file;
}

function ignore(): void {
  // what a bundler has to say
}

/** A new folder that also the user whom Postgres runs as may enter. */
export function temporaryDirectory(prefix: string): string {
  const directory = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(directory, 0o711);
  return directory;
}

/**
 * Has a server killed when this process ends before it was stopped: it runs in a process group of its own.
 * @returns what stops it in order
 */
export function killedAtExit(server: { pid: number; stop(): Promise<void> }): () => Promise<void> {
  const kill = (): void => {
    try {
      process.kill(server.pid, 'SIGKILL');
    } catch {
      // it has ended already
    }
  };
  process.once('exit', kill);
  return async () => {
    await server.stop();
    process.off('exit', kill);
  };
}
