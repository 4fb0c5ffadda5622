import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect } from 'vitest';
import { type CheckRunner, createCheckRunner } from '../../activities/check-runner.ts';
import { createChecks } from '../../activities/checks.ts';
import type { JobClones } from '../../activities/job-clones.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { beginChecks } from '../../src/database/commit-progress.ts';
import { findCommit, upsertCommit } from '../../src/database/commits.ts';
import { createSealer, type Sealer } from '../../src/secrets/sealer.ts';
import { commandsWith } from '../checks/check-world.ts';
import { MAIN } from './git-project.ts';
import type { Item } from './git-repository.ts';
import { configOf, type MergeWorld, type ServedRepository, startMergeWorld } from './merge-world.ts';

/** Checks of commits, run as a worker does, but without Temporal. */
export interface ChecksWorld extends MergeWorld {
  sealer: Sealer;
  /** Stands in the command line of plugins that are to be found again; a number of seconds that one can sleep. */
  token: string;
  /** Writes the file of plugins. */
  install(plugins: string): Promise<void>;
  /** Commits a manifest with these checks, in YAML, and begins them. @returns the ids of the checks, in their order */
  begin(served: ServedRepository, checks: string, tree?: Record<string, Item>): Promise<BegunCommit>;
  /** Begins the checks of a commit anew. */
  beginAgain(commit: BegunCommit): Promise<BegunCommit>;
  run(checkId: number, options?: RunOptions): Promise<JobDone>;
  runner(settings: Record<string, string>): CheckRunner;
  /** All there is to know of a commit's checks, without ids and times. */
  stateOf(commitId: number): Promise<CheckedState>;
  /** How often GitLab is to be told of that commit. */
  statusesAskedFor(commitId: number): Promise<number>;
  expectNothingLeft(): Promise<void>;
}

export interface RunOptions {
  signal?: AbortSignal;
  sealer?: Sealer;
  runner?: CheckRunner;
  clones?: JobClones;
}

export interface BegunCommit {
  id: number;
  sha: string;
  plugins: string[];
  checks: number[];
}

export interface CheckedState {
  state: string;
  checks: Record<string, unknown>[];
}

export async function startChecksWorld(settings: Record<string, string> = {}): Promise<ChecksWorld> {
  const base = await startMergeWorld();
  const { db, storage, gitlab, database } = base;
  const file = join(storage, '..', 'plugins.yaml');
  const runner = (more: Record<string, string>): CheckRunner =>
    createCheckRunner(configOf({ gitlab, storage, databaseUrl: database.url }, more));
  const usual = runner({ CHECK_PLUGINS: file, ...settings });
  const ourSealer = createSealer(randomBytes(32).toString('base64'));
  const token = `3600.${BigInt(`0x${randomBytes(6).toString('hex')}`)}`;

  async function beginOn(id: number, sha: string, plugins: string[]): Promise<BegunCommit> {
    const { ids } = await db.transaction().execute((transaction) => beginChecks(transaction, id, plugins));
    return { id, sha, plugins, checks: ids };
  }

  return {
    ...base,
    sealer: ourSealer,
    token,
    runner,
    install: (plugins) => writeFile(file, `version: 1\nplugins:\n${plugins}`),
    async begin({ id: repositoryId, repository }, checks, tree = {}) {
      const manifest = `version: 1\nchecks:\n${checks}`;
      const [sha = ''] = await repository.commit({ ref: MAIN, tree: { '.forgeflow.yaml': manifest, ...tree } });
      const { id } = (await upsertCommit(db, { repositoryId, sha }))!;
      return beginOn(
        id,
        sha,
        [...manifest.matchAll(/plugin: ([\w-]+)/g)].map(([, plugin = '']) => plugin),
      );
    },
    beginAgain: ({ id, sha, plugins }) => beginOn(id, sha, plugins),
    run: (
      checkId,
      { signal = new AbortController().signal, sealer = ourSealer, runner: its = usual, clones = base.clones } = {},
    ) => createChecks({ db, clones, sealer, checkRunner: its }).runCheck({ checkId }, { signal, now: Date.now() }),
    async stateOf(commitId) {
      const { rows } = await sql<Record<string, unknown>>`
        select plugin, state, problems, omitted, reason, printed, finished_at is not null as "isOver", coalesce((
          select json_agg(json_build_array(path, line, "column", rule_id, level, message) order by number)
          from problems where check_id = checks.id
        ), '[]') as found
        from checks where commit_id = ${commitId} order by id
      `.execute(db);
      return { state: (await findCommit(db, commitId))!.checksState, checks: rows };
    },
    async statusesAskedFor(commitId) {
      const { rows } = await sql`
        select from job_requests where kind = 'postCommitStatuses' and payload = ${JSON.stringify({ commitId })}::jsonb
      `.execute(db);
      return rows.length;
    },
    async expectNothingLeft() {
      expect(await readdir(join(storage, 'checks')).catch(() => [])).toEqual([]);
      expect(await commandsWith(token)).toEqual([]);
    },
  };
}
