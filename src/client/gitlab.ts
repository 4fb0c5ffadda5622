import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { countHooks, listGroupHooks, listHookReasons } from '../database/gitlab-status.ts';
import { type GitlabRun, lastRun, readProgress } from '../database/gitlab-runs.ts';
import type { BlockedState, HookState } from '../domain/hook-state.ts';
import type { InstallResult, ListingResult } from '../domain/install-run.ts';
import { invalid } from '../domain/refusal.ts';
import { reach } from '../temporal/connection.ts';
import type { ClientContext } from './context.ts';

/** How far a run has come. */
export interface InstallProgress {
  /** False until a worker has taken the run up. */
  begun: boolean;
  done: number;
  remaining: number;
}

export interface InstallOptions {
  /** Path of the one repository to see to, `group/project`; all that are due when left out. */
  repository?: string | undefined;
  /** Told several times a second while it runs. */
  onProgress?: (progress: InstallProgress) => void;
}

/** A run as the records have it. Times are ISO 8601, absent is null. */
export interface LastRun extends Omit<InstallResult, 'runId'> {
  runId: string;
  startedAt: string;
  /** Null while it is under way. */
  finishedAt: string | null;
  /** One sentence, when it failed. */
  error: string | null;
}

/** The hook of a group, which covers its projects while it is `installed`. */
export interface GroupHookStatus {
  path: string;
  state: HookState;
  /** Why it is not installed, in a sentence. */
  reason: string | null;
}

export interface GitlabStatus {
  lastRun: LastRun | null;
  /** When the schedule starts the next one; null when it is paused, not made yet, or Temporal does not answer. */
  nextRunAt: string | null;
  repositories: {
    installed: number;
    pending: number;
    /** How many by reason. */
    blocked: Record<BlockedState, number>;
    /** Those whose group has the hook. */
    covered: number;
    /** Of those installed: how many GitLab has disabled, because the ingress failed. */
    disabled: number;
  };
  /** Why webhooks are not in place, in GitLab's words, the most frequent reasons first; ten at most. */
  reasons: { state: BlockedState; reason: string | null; count: number; example: string }[];
  groups: GroupHookStatus[];
}

/** GitLab's webhooks, and what is known of its repositories. */
export class Gitlab {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /**
   * Runs the installer now, and waits for its end; one that is under way already is joined.
   * @throws Refusal `not_found` for a repository that GitLab does not show; Error when the run failed, with its reason
   */
  async install({ repository, onProgress }: InstallOptions = {}): Promise<InstallResult> {
    if (repository?.trim() === '') throw invalid('repository', 'it is empty');
    const { temporal, config } = this.#context;
    await reach(temporal);
    const { startInstallation, startInstallationOf } = await import('../temporal/gitlab.ts');
    const { resultOf } = await import('../temporal/run-result.ts');
    const { handle, runId } = await (repository === undefined
      ? startInstallation(temporal, config)
      : startInstallationOf(temporal, repository));
    const ended = new AbortController();
    const watching = onProgress && this.#watch(runId, onProgress, ended.signal);
    try {
      return await resultOf(handle);
    } finally {
      ended.abort();
      await watching;
    }
  }

  /** Lists the repositories that are ours in GitLab, and waits for the end of it. @throws Error when it failed */
  async sync(): Promise<ListingResult> {
    const { temporal } = this.#context;
    await reach(temporal);
    const { startListing } = await import('../temporal/gitlab.ts');
    const { resultOf } = await import('../temporal/run-result.ts');
    return resultOf((await startListing(temporal)).handle);
  }

  async status(): Promise<GitlabStatus> {
    const { db, temporal } = this.#context;
    const [run, counts, reasons, groups, nextRunAt] = await Promise.all([
      lastRun(db),
      countHooks(db),
      listHookReasons(db, REASONS_SHOWN),
      listGroupHooks(db),
      nextRun(temporal),
    ]);
    return {
      lastRun: run === undefined ? null : shown(run),
      nextRunAt,
      repositories: {
        installed: counts.installed,
        pending: counts.pending,
        blocked: counts.blocked,
        covered: counts.covered,
        disabled: counts.disabled,
      },
      reasons,
      groups: groups.map(({ path, state, reason }) => ({ path, state, reason })),
    };
  }

  async #watch(runId: string, tell: (progress: InstallProgress) => void, ended: AbortSignal): Promise<void> {
    for (;;) {
      // Postgres may be away for a moment, which is nothing to the run.
      const progress = await readProgress(this.#context.db, runId).catch(() => null);
      if (ended.aborted) return;
      if (progress !== null) tell({ begun: progress !== undefined, ...(progress ?? { done: 0, remaining: 0 }) });
      await sleep(LOOK_MS, undefined, { signal: ended }).catch(() => undefined);
    }
  }
}

/** What Postgres knows is shown while Temporal is away, too. */
async function nextRun(temporal: Client): Promise<string | null> {
  try {
    await reach(temporal);
  } catch {
    return null;
  }
  const { describeSchedules, INSTALL_SCHEDULE } = await import('../temporal/schedules.ts');
  const schedules = await describeSchedules(temporal);
  return schedules.find(({ schedule }) => schedule === INSTALL_SCHEDULE)?.nextRunAt ?? null;
}

const REASONS_SHOWN = 10;
const LOOK_MS = 250;

function shown({ startedAt, finishedAt, retryAt, ...run }: GitlabRun): LastRun {
  return {
    ...run,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
    retryAt: retryAt?.toISOString() ?? null,
  };
}
