import { chooseRun, type NamedRun } from '../named-runs.ts';
import { type BenchOptions, printReport, type Report } from './report.ts';

const BENCHES: Record<string, NamedRun<(options: BenchOptions) => Promise<Report>>> = {
  delivery: {
    summary: 'deliveries/s to a receiver, beside the bare engine, graphile-worker and pg-boss',
    load: async () => (await import('./delivery.ts')).benchDelivery,
  },
  isolation: {
    summary: 'what one endpoint that never answers costs the healthy ones, beside graphile-worker',
    load: async () => (await import('./isolation.ts')).benchIsolation,
  },
  fanout: {
    summary: 'one event to 1,000 subscriptions; the matcher of 10,000 patterns beside a scan',
    load: async () => (await import('./fanout.ts')).benchFanout,
  },
  sleeping: {
    summary: 'what 5,000 deliveries cost while they wait for their next attempt',
    load: async () => (await import('./sleeping.ts')).benchSleeping,
  },
  jobs: {
    summary: 'jobs/s, latency, and what a killed worker costs, beside graphile-worker',
    load: async () => (await import('./jobs.ts')).benchJobs,
  },
  install: {
    summary: 'webhooks installed in 10,000 repositories and verified, beside a bare loop of the same requests',
    load: async () => (await import('./install.ts')).benchInstall,
  },
  reindex: {
    summary: 'code search: indexing 20,000 files and a commit of ten, beside git cat-file into COPY',
    load: async () => (await import('./reindex.ts')).benchReindex,
  },
  search: {
    summary: 'code search in 20,000 files, beside git grep',
    load: async () => (await import('./search.ts')).benchSearch,
  },
};

const { load, quick, json } = chooseRun({ script: 'bench', runs: BENCHES });
const run = await load();
try {
  printReport(await run({ quick }), { json });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
