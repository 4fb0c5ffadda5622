import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { type EnqueuedJob, jobKinds, type JobStatus, type KindStatus } from '../client/jobs.ts';
import { JOB_STATES, type JobState } from '../domain/job-state.ts';
import { invalid } from '../domain/refusal.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { print, state, table, time } from './output.ts';

interface Filter extends CommonOptions {
  kind?: string;
  state?: JobState;
  limit: string;
}

export function addJobCommands(program: Command): void {
  const noun = program.command('jobs').description('background work, folded by key, tried five times');

  addCommand(noun, 'kinds', 'what kinds of jobs there are').action((options: CommonOptions) => {
    print(jobKinds(), options, renderKinds);
  });

  addCommand(noun, 'enqueue <kind>', 'submit a job')
    .option('--payload <json>', 'what the kind wants, such as {"repositoryId":12}')
    .option('--dedupe-key <key>', "what makes it the same job as another; '' for nothing", undefined)
    .action(async (kind: string, options: CommonOptions & { payload?: string; dedupeKey?: string }) => {
      const payload = parsePayload(options.payload);
      print(await withClient((client) => client.enqueue(kind, payload, options.dedupeKey)), options, renderEnqueued);
    });

  addCommand(noun, 'list', 'runs of jobs, newest first')
    .option('--kind <kind>', 'only of this kind')
    .addOption(new Option('--state <state>', 'only those in this state').choices(JOB_STATES))
    .option('--limit <number>', 'how many at most', '50')
    .action(async ({ kind, state: of, limit, json }: Filter) => {
      const filter = { kind, state: of, limit: Number(limit) };
      print(await withClient((client) => client.jobs.list(filter)), { json }, (jobs) => renderJobs(jobs, 'No jobs.'));
    });

  addCommand(noun, 'dead', 'jobs that have failed for good, and why')
    .option('--limit <number>', 'how many at most', '50')
    .action(async ({ limit, json }: Filter) => {
      const jobs = await withClient((client) => client.jobs.dead({ limit: Number(limit) }));
      print(jobs, { json }, (dead) => renderJobs(dead, 'No dead jobs.'));
    });

  addCommand(noun, 'retry <id>', 'run a dead job again').action(async (id: string, options: CommonOptions) => {
    print(await withClient((client) => client.jobs.retry(id)), options, renderEnqueued);
  });
}

function parsePayload(text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('payload', 'it is not JSON, such as {"repositoryId":12}');
  }
}

function renderKinds(kinds: KindStatus[]): string {
  return table(
    ['KIND', 'PAYLOAD', 'QUEUE', 'WHAT IT WORKS OUT'],
    kinds.map(({ kind, payload, queue, description }) => [
      kind,
      `{${Object.keys(payload)
        .map((name) => `"${name}"`)
        .join(', ')}}`,
      queue,
      description,
    ]),
    '',
  );
}

function renderEnqueued({ jobId, deduped }: EnqueuedJob): string {
  return deduped
    ? `${jobId} is active already; it runs once more after the run under way.`
    : `${pc.green('Submitted')} ${jobId}`;
}

function renderJobs(jobs: JobStatus[], whenEmpty: string): string {
  return table(
    ['JOB', 'STATE', 'ATTEMPTS', 'STARTED', 'FINISHED', 'ERROR'],
    jobs.map(({ jobId, state: its, attempts, startedAt, finishedAt, error }) => [
      jobId,
      state(its),
      String(attempts),
      time(startedAt),
      time(finishedAt),
      error ?? '',
    ]),
    whenEmpty,
  );
}
