import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { search } from '../../src/client/search.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createGit } from '../../src/git/git.ts';
import { withCleanup } from './cleanup.ts';
import { installedCode, makeRepository } from './code-repository.ts';
import { type CodeFile, generateCode } from './code-text.ts';
import { say } from './console.ts';
import { openIndexer } from './reindex-turns.ts';
import type { BenchOptions, Report, Row } from './report.ts';
import { makeQueries, type Query, typed } from './search-queries.ts';
import { prepareGround } from './stage.ts';
import { percentile } from './statistics.ts';

const FILES = 20_000;
/** Of so many files there are queries. */
const SAMPLED = 400;
const PACKAGES = fileURLToPath(new URL('../../node_modules', import.meta.url));

interface Measured {
  kind: string;
  forgeflowMs: number;
  gitGrepMs: number;
}

interface Trial {
  name: string;
  measured: Measured[];
}

export async function benchSearch({ quick }: BenchOptions): Promise<Report> {
  const size = quick ? { queries: 3, rounds: 1 } : { queries: 12, rounds: 2 };
  return withCleanup(async (cleanup, signal) => {
    say('starting Postgres');
    const { home, databaseUrl } = await prepareGround(cleanup);
    const db = openDatabase(databaseUrl);
    cleanup.add(() => db.destroy());
    await migrateUp(db);
    const trials: Trial[] = [];
    const sources = {
      generated: () => generateCode(FILES),
      ...(quick ? {} : { packages: () => installedCode(PACKAGES, FILES) }),
    };
    for (const [name, code] of Object.entries(sources)) {
      const { worktree, sample } = await prepare(db, join(home, name), name, code);
      const queries = makeQueries(sample, size.queries);
      const measured: Measured[] = [];
      for (let round = 0; round <= size.rounds; round += 1) {
        say(`${name}: ${queries.length} queries, round ${round} of ${size.rounds}`);
        for (const query of queries) {
          signal.throwIfAborted();
          const one = await measure(db, { name, worktree, query });
          // The first time is for caches to be filled.
          if (round > 0) measured.push(one);
        }
      }
      trials.push({ name, measured });
    }
    return reportOf(trials, size);
  });
}

/** Both sides have the same files: one in its index, the other on disk. */
async function prepare(db: ForgeflowDatabase, folder: string, name: string, code: () => Iterable<CodeFile>) {
  say(`making a repository: ${name}`);
  const sample: CodeFile[] = [];
  let files = 0;
  function* sampled(): Generator<CodeFile> {
    for (const file of code()) {
      files += 1;
      if (files % Math.floor(FILES / SAMPLED) === 0) sample.push(file);
      yield file;
    }
  }
  const { directory } = await makeRepository(`${folder}.git`, sampled(), { touched: 0, commits: 0 });
  const clone = { git: await createGit({ path: process.env['PATH'] }), directory };
  const indexer = await openIndexer(db, clone, `bench/${name}`);
  await indexer.reindex();
  await execa('git', ['clone', '--quiet', directory, folder]);
  return { worktree: folder, sample };
}

async function measure(
  db: ForgeflowDatabase,
  { name, worktree, query }: { name: string; worktree: string; query: Query },
): Promise<Measured> {
  const begun = performance.now();
  await search({ db }, typed(query), { repository: `bench/${name}` });
  const searched = performance.now();
  const patterns = query.terms.flatMap((term) => ['-e', term]);
  const args = ['grep', '-n', '-i', '-F', '--all-match', ...patterns];
  const { exitCode } = await execa('git', args, { cwd: worktree, stdout: 'ignore', reject: false });
  if (exitCode !== 0 && exitCode !== 1) throw new Error(`git grep ended with ${exitCode ?? 'a signal'}`);
  return { kind: query.kind, forgeflowMs: searched - begun, gitGrepMs: performance.now() - searched };
}

function reportOf(trials: readonly Trial[], size: { queries: number; rounds: number }): Report {
  const p = (share: number, measured: readonly Measured[], whose: 'forgeflowMs' | 'gitGrepMs'): number =>
    percentile(
      measured.map((one) => one[whose]),
      share,
    );
  const row = (what: string, value: number): Row => ({ what, value, unit: 'ms' });
  const rows = trials.flatMap(({ name, measured }) => [
    row(`${name}: forgeflow search, p50`, p(0.5, measured, 'forgeflowMs')),
    row(`${name}: forgeflow search, p95`, p(0.95, measured, 'forgeflowMs')),
    row(`${name}: git grep, p50`, p(0.5, measured, 'gitGrepMs')),
    row(`${name}: git grep, p95`, p(0.95, measured, 'gitGrepMs')),
    ...[...new Set(measured.map(({ kind }) => kind))].flatMap((kind) => {
      const those = measured.filter((one) => one.kind === kind);
      return [
        row(`${name}, ${kind}: forgeflow p95`, p(0.95, those, 'forgeflowMs')),
        row(`${name}, ${kind}: git grep p95`, p(0.95, those, 'gitGrepMs')),
      ];
    }),
  ]);
  const ratioOf = ({ measured }: Trial): number => p(0.95, measured, 'forgeflowMs') / p(0.95, measured, 'gitGrepMs');
  return {
    bench: 'search',
    rows,
    ratios: {
      p95ToGitGrep: Math.max(...trials.map(ratioOf)),
      p95Ms: Math.max(...trials.map(({ measured }) => p(0.95, measured, 'forgeflowMs'))),
    },
    notes: [
      `${FILES} files; ${size.queries} queries of each kind, ${size.rounds} times each, one after the other; every file has been read before`,
      'forgeflow: the call of the client, from the terms to 20 ranked results',
      'git grep -n -i -F --all-match, in a working tree: all lines of all files, in no order but that of the tree; it starts a process each time',
      'the ratio is that of the repository that does worst',
    ],
  };
}
