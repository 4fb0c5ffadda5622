import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { beginRun, countOutcomes, finishRun } from '../src/database/gitlab-runs.ts';
import { countDueHooks } from '../src/database/gitlab-hooks.ts';
import type { InstallResult, Interruption } from '../src/domain/install-run.ts';

export interface RunOpening {
  /** The workflow's first run id. */
  runId: string;
  workflowId: string;
  /** Path of the one repository it is for; null for all that are due. */
  repository: string | null;
  /** The workflow's clock, ISO 8601. */
  at: string;
}

export interface RunClosing {
  runId: string;
  at: string;
  /** Whether it was about one repository alone, so that what else is due is none of its business. */
  single: boolean;
  interruption: Interruption | null;
  /** One sentence, when the run failed. */
  error: string | null;
}

export type GitlabRuns = ReturnType<typeof createGitlabRuns>;

/** The books of the installer's runs: an operator reads there how the last one ended, while Temporal is away too. */
export function createGitlabRuns({ db }: { db: ForgeflowDatabase }) {
  return {
    async openGitlabRun({ runId, workflowId, repository, at }: RunOpening): Promise<void> {
      await beginRun(db, { id: runId, workflowId, repository, at: new Date(at) });
    },

    /** @returns the run's counts as the records have them: exact, whatever died meanwhile */
    async closeGitlabRun({ runId, at, single, interruption, error }: RunClosing): Promise<InstallResult> {
      const counts = await countOutcomes(db, runId);
      const seenTo = Object.values(counts).reduce((sum, count) => sum + count, 0);
      const remaining = single
        ? Number(interruption !== null && seenTo === 0)
        : await countDueHooks(db, { runId, at: new Date(at) });
      const retryAt = interruption?.retryAt ?? null;
      const endedEarly = interruption?.endedEarly ?? null;
      await finishRun(db, runId, {
        at: new Date(at),
        endedEarly,
        retryAt: retryAt === null ? null : new Date(retryAt),
        error,
        counts,
        remaining,
      });
      return { runId, ...counts, remaining, endedEarly, retryAt };
    },
  };
}
