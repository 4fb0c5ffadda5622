import { CheckoutError } from '../src/checks/checkout.ts';
import {
  beginCheck,
  type CheckResult,
  type CommitCheck,
  endCheck,
  isWanted,
  putCheckBack,
} from '../src/database/checks.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { Clone } from '../src/git/clone.ts';
import { type CheckInputsDependencies, checkInputs, Unrunnable } from './check-inputs.ts';
import type { CheckRunner } from './check-runner.ts';
import { checkOutTree } from './check-tree.ts';
import { Unwanted, watchWanted } from './check-watch.ts';
import { jobFailure } from './failures.ts';
import { type JobClones, NotTracked } from './job-clones.ts';
import type { JobContext, JobDone } from './job-context.ts';

export interface ChecksDependencies extends CheckInputsDependencies {
  clones: Pick<JobClones, 'use'>;
  checkRunner: CheckRunner;
}

export function createChecks(dependencies: ChecksDependencies) {
  const { db, clones, checkRunner } = dependencies;

  async function outcomeOf(check: CommitCheck, signal: AbortSignal): Promise<CheckResult> {
    const run = async (clone: Clone): Promise<CheckResult> => {
      const inputs = await checkInputs(dependencies, check, clone);
      return checkRunner.run({ ...inputs, checkOut: (folder) => checkOutTree(clone, check.sha, folder), signal });
    };
    try {
      return await clones.use(check.repository, run, signal);
    } catch (error) {
      if (error instanceof Unrunnable) return failed(error.message);
      if (error instanceof CheckoutError) return failed(`could not be run: ${error.message}`);
      throw error;
    }
  }

  return {
    /**
     * Runs a check of a commit to its end, whatever way that comes, and stores what it came to, unless a newer run has taken
     * its place. One that is completed is not run again; one that failed is, for the reason may have lain with us.
     * @throws GitError, ConfigError, Error where our side fails; the check has failed until a later attempt does better
     */
    async runCheck({ checkId }: JobPayload<'runCheck'>, { signal }: JobContext): Promise<JobDone> {
      const check = await beginCheck(db, checkId);
      if (check === null) return SUPERSEDED;
      const name = `${check.plugin} at ${check.repository.path}@${check.sha.slice(0, 8)}`;
      if (check.state === 'completed') return { summary: `${name} is done already` };
      const watched = watchWanted(() => isWanted(db, checkId), signal);
      let result: CheckResult;
      try {
        result = await outcomeOf(check, watched.signal);
      } catch (error) {
        if (error instanceof NotTracked || watched.signal.reason instanceof Unwanted) return SUPERSEDED;
        // The database may be what is away; then what went wrong first is what counts.
        if (signal.aborted) await putCheckBack(db, checkId).catch(() => undefined);
        else await endCheck(db, checkId, failed(`could not be run: ${sentenceOf(error)}`)).catch(() => undefined);
        throw error;
      } finally {
        watched.stop();
      }
      if (!(await endCheck(db, checkId, result))) return SUPERSEDED;
      if (result.kind === 'failed') return { summary: `${name} ${result.reason}`, state: 'failed', problems: null };
      const problems = result.problems.length + result.omitted;
      return { summary: `${name}: ${problems} problems`, state: 'completed', problems };
    },
  };
}

const SUPERSEDED: JobDone = {
  summary: 'superseded: a newer run has taken its place, or its repository is gone',
  isSuperseded: true,
};

function failed(reason: string): CheckResult {
  return { kind: 'failed', reason, printed: '' };
}

/** As the job's own failure says it. */
function sentenceOf(error: unknown): string {
  return jobFailure(error, 1).message;
}
