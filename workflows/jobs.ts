import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  sleep,
  TimeoutFailure,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { JobDone, JobOutcome, JobPostponed } from '../activities/job-context.ts';
import { isJobKind, JOB_KINDS, type JobKind } from '../src/domain/job-kinds.ts';
import { JOB_ATTEMPTS } from '../src/domain/job-retry.ts';
import { jobAskedSignal, type JobDeath, type JobStatus, jobStatusQuery } from './messages.ts';
import { jobActivities } from './proxies.ts';

/** How long a job waits that asked to be postponed, at least: GitLab's clock may be ahead of ours. */
const SHORTEST_WAIT_MS = 1_000;

/**
 * One job of the kind that is the workflow's type: it is run, and once more where somebody asked for it while it ran, since
 * what they know may be news that the run has not read. Its id is the dedupe key, so Temporal keeps two from running at once.
 * @param given the payload; each {@link jobAskedSignal} brings a newer one
 * @throws ApplicationFailure when the job is dead: what its last attempt said, with a JobDeath as its details
 */
export default async function job(given: unknown = {}): Promise<JobDone> {
  const kind = kindOfThis();
  let payload = given;
  let isAskedAgain = false;
  const status: Omit<JobStatus, 'isAskedAgain'> = { runs: 0, waitsUntil: null, lastSaid: null };
  const isAsked = () => isAskedAgain;
  const show = () => {
    setCurrentDetails(describe({ ...status, isAskedAgain }));
  };

  setHandler(jobStatusQuery, () => ({ ...status, isAskedAgain }));
  setHandler(jobAskedSignal, (newer) => {
    // The list of jobs shows the memo, and a job that was cancelled is run again with it.
    if (JSON.stringify(newer) !== JSON.stringify(payload)) upsertMemo({ payload: newer });
    payload = newer;
    isAskedAgain = true;
    show();
  });

  async function run(): Promise<JobOutcome> {
    isAskedAgain = false; // before it reads how things are: whoever asks from now on may know something newer
    status.runs++;
    show();
    const options = { summary: `run ${status.runs}` };
    return jobActivities[JOB_KINDS[kind].queue][kind].executeWithOptions(options, [payload]);
  }

  /** @returns undefined where it failed, but somebody asked meanwhile, who has not been heard yet */
  async function runUnlessDead(): Promise<JobOutcome | undefined> {
    try {
      return await run();
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      const death = deathOf(error, payload);
      status.lastSaid = death.message;
      show();
      if (isAsked()) return undefined;
      throw death;
    }
  }

  async function waitOut({ postponedUntil, reason, wakesWhenAsked = false }: JobPostponed): Promise<void> {
    Object.assign(status, { waitsUntil: postponedUntil, lastSaid: reason });
    show();
    const waitMs = Math.max(SHORTEST_WAIT_MS, Date.parse(postponedUntil) - Date.now());
    if (wakesWhenAsked) await condition(isAsked, waitMs);
    else await sleep(waitMs, { summary: 'postponed' });
    status.waitsUntil = null;
  }

  /** With the newest payload as its memo too: of itself the server keeps the one of the start. */
  async function goOnAsNew(): Promise<never> {
    return makeContinueAsNewFunc<typeof job>({ memo: { payload } })(payload);
  }

  async function runUntilNobodyAsks(): Promise<JobDone> {
    for (;;) {
      const outcome = await runUnlessDead();
      if (outcome !== undefined && isPostponed(outcome)) {
        await waitOut(outcome);
      } else if (outcome !== undefined) {
        status.lastSaid = outcome.summary;
        show();
        // Nothing is awaited between this look and the end: the server refuses to end a workflow with a signal unread.
        if (!isAsked()) return outcome;
      }
      const { consideredCancelled } = CancellationScope.current();
      if (consideredCancelled || workflowInfo().continueAsNewSuggested) await goOnAsNew();
    }
  }

  try {
    return await runUntilNobodyAsks();
  } catch (error) {
    // It is the run that was cancelled: whoever asked meanwhile was told that there would be another one.
    if (isCancellation(error) && isAsked()) await goOnAsNew();
    throw error;
  }
}

/** @throws ApplicationFailure, for a workflow that somebody started under a name that we do not have */
function kindOfThis(): JobKind {
  const { workflowType } = workflowInfo();
  if (isJobKind(workflowType)) return workflowType;
  throw ApplicationFailure.create({
    type: 'UnknownKind',
    nonRetryable: true,
    message: `there is no kind of job ${JSON.stringify(workflowType)}; there are ${Object.keys(JOB_KINDS).join(', ')}`,
  });
}

function isPostponed(outcome: JobOutcome): outcome is JobPostponed {
  return 'postponedUntil' in outcome;
}

/** What the Web UI and `forgeflow jobs dead` show of it: the last attempt's own words, not that an activity has failed. */
function deathOf({ cause }: ActivityFailure, payload: unknown): ApplicationFailure {
  const said = cause instanceof ApplicationFailure ? cause : undefined;
  const attempts = said?.details?.[0] ?? JOB_ATTEMPTS;
  const death: JobDeath = { attempts: typeof attempts === 'number' ? attempts : JOB_ATTEMPTS, payload };
  return ApplicationFailure.create({
    type: said?.type ?? 'JobFailed',
    nonRetryable: true,
    message: cause instanceof TimeoutFailure ? 'no worker brought it to its end in time' : (cause?.message ?? 'failed'),
    details: [death],
  });
}

/** The details text of the Web UI, in its Markdown. */
function describe({ runs, isAskedAgain, waitsUntil, lastSaid }: JobStatus): string {
  return [
    `run ${runs}`,
    lastSaid === null ? null : `last: ${lastSaid}`,
    waitsUntil === null ? null : `goes on at ${waitsUntil}`,
    isAskedAgain ? 'asked for again while it ran: it is run once more' : null,
  ]
    .filter((line) => line !== null)
    .join('\n\n');
}
