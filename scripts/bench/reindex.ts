import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createGit } from '../../src/git/git.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { type CodeRepository, installedCode, makeRepository } from './code-repository.ts';
import { generateCode } from './code-text.ts';
import { say } from './console.ts';
import { dropPipe, type Indexer, openIndexer, pipe, timed } from './reindex-turns.ts';
import type { BenchOptions, Report, Row } from './report.ts';
import { prepareGround } from './stage.ts';
import { median, ratios } from './statistics.ts';

const FILES = 20_000;
const TOUCHED = 10;
const PACKAGES = fileURLToPath(new URL('../../node_modules', import.meta.url));

export async function benchReindex({ quick }: BenchOptions): Promise<Report> {
  const size = quick ? { rounds: 1, commits: 6 } : { rounds: 5, commits: 20 };
  return withCleanup(async (cleanup, signal) => {
    say('starting Postgres');
    const { home, databaseUrl } = await prepareGround(cleanup);
    const db = await openMigrated(databaseUrl, cleanup);
    const trials: Trial[] = [];
    const sources = {
      generated: () => generateCode(FILES),
      ...(quick ? {} : { packages: () => installedCode(PACKAGES, FILES) }),
    };
    for (const [name, code] of Object.entries(sources)) {
      say(`making a repository: ${name}`);
      const repository = await makeRepository(join(home, `${name}.git`), code(), {
        touched: TOUCHED,
        commits: size.commits,
      });
      trials.push(await compare({ db, name, repository, signal, rounds: size.rounds, withTrigrams: !quick }));
    }
    return reportOf(trials, size);
  });
}

async function openMigrated(databaseUrl: string, cleanup: Cleanup): Promise<ForgeflowDatabase> {
  const db = openDatabase(databaseUrl);
  cleanup.add(() => db.destroy());
  await migrateUp(db);
  return db;
}

interface Trial {
  name: string;
  repository: CodeRepository;
  pipeMs: number[];
  trigramPipeMs: number[];
  fullMs: number[];
  commitMs: number[];
  /** What of Node's memory was in use at most, and before anything was indexed. */
  memory: { before: number; most: number };
}

interface TrialOptions {
  db: ForgeflowDatabase;
  name: string;
  repository: CodeRepository;
  signal: AbortSignal;
  rounds: number;
  /** It takes its time. */
  withTrigrams: boolean;
}

/** All in turn, and the other way round in every second round. */
async function compare({ db, name, repository, signal, rounds, withTrigrams }: TrialOptions): Promise<Trial> {
  const clone = { git: await createGit({ path: process.env['PATH'] }), directory: repository.directory };
  const indexer = await openIndexer(db, clone, `bench/${name}`);
  const [first = '', ...later] = repository.commits;
  await indexer.moveTo(first);
  const memory = { before: process.memoryUsage().rss, most: 0 };
  const trial: Trial = { name, repository, pipeMs: [], trigramPipeMs: [], fullMs: [], commitMs: [], memory };

  const turns = {
    pipe: async () => {
      trial.pipeMs.push(await timed(db, () => pipe(db, clone, first, { trigrams: false })));
      await dropPipe(db);
    },
    forgeflow: async () => {
      await indexer.reset();
      const watch = setInterval(() => (memory.most = Math.max(memory.most, process.memoryUsage().rss)), 50);
      trial.fullMs.push(await timed(db, () => expecting(indexer, repository.files)));
      clearInterval(watch);
    },
  };
  // The first of each opens files and warms code up.
  for (let round = 0; round <= rounds; round += 1) {
    signal.throwIfAborted();
    say(`${name}: round ${round} of ${rounds}`);
    for (const turn of round % 2 === 0 ? [turns.pipe, turns.forgeflow] : [turns.forgeflow, turns.pipe]) await turn();
  }
  trial.pipeMs.shift();
  trial.fullMs.shift();

  await indexer.reset();
  await expecting(indexer, repository.files);
  for (const commit of later) {
    signal.throwIfAborted();
    await indexer.moveTo(commit);
    trial.commitMs.push(await timed(db, () => expecting(indexer, repository.files, TOUCHED)));
  }
  if (!withTrigrams) return trial;
  say(`${name}: the pipe with a trigram index on the text`);
  trial.trigramPipeMs.push(await timed(db, () => pipe(db, clone, first, { trigrams: true })));
  await dropPipe(db);
  return trial;
}

/** @throws Error where it did something else than it was to do */
async function expecting(indexer: Indexer, files: number, read?: number): Promise<void> {
  const outcome = await indexer.reindex();
  if (outcome.files !== files || (read !== undefined && outcome.read !== read))
    throw new Error(
      `${outcome.files} files were indexed and ${outcome.read} read instead of ${files} and ${read ?? files}`,
    );
}

function reportOf(trials: readonly Trial[], size: { rounds: number; commits: number }): Report {
  const [first] = trials;
  if (first === undefined) throw new Error('nothing was measured');
  const rowOf = (what: string, values: number[]): Row => ({ what, value: median(values), unit: 'ms', rounds: values });
  return {
    bench: 'reindex',
    rows: trials.flatMap(({ name, repository, pipeMs, trigramPipeMs, fullMs, commitMs, memory }) => [
      { what: `${name}: files`, value: repository.files, unit: '' },
      { what: `${name}: contents`, value: repository.bytes / 1e6, unit: 'MB' },
      rowOf(`${name}: bare pipe`, pipeMs),
      ...(trigramPipeMs.length > 0 ? [rowOf(`${name}: bare pipe, trigram index on the text`, trigramPipeMs)] : []),
      rowOf(`${name}: forgeflow, all of it`, fullMs),
      rowOf(`${name}: forgeflow, a commit of ${TOUCHED} files`, commitMs),
      { what: `${name}: forgeflow, memory used besides`, value: (memory.most - memory.before) / 1e6, unit: 'MB' },
    ]),
    // Of the worst of the repositories.
    ratios: {
      fullToPipe: Math.max(...trials.map(({ fullMs, pipeMs }) => median(ratios(fullMs, pipeMs)))),
      incrementalToFull: Math.max(...trials.map(({ commitMs, fullMs }) => median(commitMs) / median(fullMs))),
      ...(first.trigramPipeMs.length > 0 && {
        fullToTrigramPipe: Math.max(...trials.map((one) => median(one.fullMs) / median(one.trigramPipeMs))),
      }),
    },
    notes: [
      `medians of ${size.rounds} rounds, of ${size.commits} commits; git, Postgres and this process share the cores`,
      'the bare pipe: git cat-file --batch into COPY, into a table of paths and texts without any index',
      'with a trigram index: the same, and then GIN (gin_trgm_ops) over the texts, which is what substring search takes else',
      'forgeflow: the whole job from the head of the branch to the commit in Postgres, without the fetch',
      `the ratios are those of the repository that does worst`,
    ],
  };
}
