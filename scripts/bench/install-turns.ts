import { sql } from 'kysely';
import { openDatabase } from '../../src/database/connection.ts';
import type { Cleanup } from './cleanup.ts';
import { startBareLoop } from './install-bare-loop.ts';
import { type BenchGitlab, type GitlabAddress, type GitlabSize, startBenchGitlab } from './install-gitlab.ts';
import { newDatabase } from './new-database.ts';
import { openProduct } from './product.ts';
import type { Ground } from './stage.ts';
import { startWorker } from './worker-process.ts';

/** Where no request goes: nothing happens in these repositories. */
const INGRESS_URL = 'https://forgeflow.example.com';
/** Repositories that are worked on at once; the setting's default. */
export const CONCURRENCY = 4;

/** What one run took. */
export interface Measured {
  ms: number;
  requestsPerRepository: number;
}

/** One that makes all hooks, and one that finds them all in place. */
export interface Turn {
  fresh: Measured;
  verify: Measured;
}

/** Something that brings hooks into place. */
export interface Installer {
  /** Opens it for a GitLab that it has not seen before. */
  open(gitlab: GitlabAddress): Promise<OpenInstaller>;
}

interface OpenInstaller {
  /** @returns for how many repositories there was something to do */
  install(): Promise<number>;
  /** Lets so much time pass that all are to be looked at again. */
  age(): Promise<void>;
  /** @returns how many repositories were looked at */
  verify(): Promise<number>;
  close(): Promise<void>;
}

/** In a new GitLab. */
export async function takeTurn(installer: Installer, size: GitlabSize, cleanup: Cleanup): Promise<Turn> {
  const { repositories, warmUp } = size;
  const gitlab = await cleanup.start(() => startBenchGitlab(size));
  const open = await installer.open(await gitlab.ask('address'));
  await measure(gitlab, warmUp, () => open.install());
  await gitlab.ask('grow');
  const fresh = await measure(gitlab, repositories, () => open.install());
  await open.age();
  const verifying = await measure(gitlab, warmUp + repositories, () => open.verify());
  const right = await gitlab.ask('withOneHook');
  if (right !== warmUp + repositories)
    throw new Error(`only ${right} of ${warmUp + repositories} repositories have exactly one hook`);
  await open.close();
  await gitlab.stop();
  return { fresh, verify: verifying };
}

async function measure(gitlab: BenchGitlab, repositories: number, run: () => Promise<number>): Promise<Measured> {
  await gitlab.ask('requests');
  const begun = performance.now();
  const done = await run();
  const ms = performance.now() - begun;
  // A run that did less than all of it is no measurement.
  if (done !== repositories) throw new Error(`${done} repositories were done, not ${repositories}`);
  return { ms, requestsPerRepository: (await gitlab.ask('requests')) / repositories };
}

export function bareLoop(cleanup: Cleanup): Installer {
  return {
    async open(address) {
      const settings = { ...address, concurrency: CONCURRENCY, ingressUrl: INGRESS_URL };
      const loop = await cleanup.start(() => startBareLoop(settings));
      return {
        install: () => loop.ask('install'),
        age: () => Promise.resolve(),
        verify: () => loop.ask('verify'),
        close: () => loop.stop(),
      };
    },
  };
}

export interface ForgeflowOptions {
  ground: Ground;
  temporalAddress: string;
  workflowBundle: string;
}

/** forgeflow with a new database, and a new worker in a process of its own. */
export function forgeflow({ ground, temporalAddress, workflowBundle }: ForgeflowOptions, cleanup: Cleanup): Installer {
  const { home } = ground;
  return {
    async open({ url, token }) {
      const databaseUrl = await newDatabase(ground.databaseUrl, 'install');
      const settings = {
        GITLAB_URL: url,
        GITLAB_TOKEN: token,
        GITLAB_CONCURRENCY: String(CONCURRENCY),
        GITLAB_INSTALL_CRON: '0 0 29 2 *', // the schedule starts nothing by itself
        INGRESS_URL,
      };
      const product = await openProduct({ home, databaseUrl, temporalAddress, settings }, cleanup);
      const worker = await cleanup.start(() => startWorker({ home, variables: product.variables, workflowBundle }));
      return {
        install: async () => (await product.forgeflow.installWebhooks()).installed,
        age: () => makeAllDue(databaseUrl),
        verify: async () => (await product.forgeflow.installWebhooks()).verified,
        close: () => worker.stop(),
      };
    },
  };
}

/** What is due 24 h later by itself. */
async function makeAllDue(databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl, { maxConnections: 1 });
  await sql`update gitlab_hooks set due_at = now()`.execute(db).finally(() => db.destroy());
}
