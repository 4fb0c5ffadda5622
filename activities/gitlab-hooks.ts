import { Context } from '@temporalio/activity';
import pLimit, { type LimitFunction } from 'p-limit';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { coverRepositories, uncoverRepositories } from '../src/database/gitlab-groups.ts';
import { recordCovered, recordInstalled, recordNotInstalled } from '../src/database/gitlab-hook-records.ts';
import { countDueHooks, type HookRecord, listDueHooks, readHook, withHookLock } from '../src/database/gitlab-hooks.ts';
import { recheckDelayMs } from '../src/domain/hook-state.ts';
import { type Interruption, PAGE_SIZE } from '../src/domain/install-run.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { gitlabHooksRetry, gitlabIsAway, hookIsBusy } from './failures.ts';
import { type GitlabAccess, interruptionOf, reserveReached, settingsOf } from './gitlab-access.ts';
import { bringIntoPlace, type HookWork, removeHooks } from './gitlab-hook.ts';
import { faultOf } from './gitlab-hook-faults.ts';

export interface GitlabHooksDependencies {
  db: ForgeflowDatabase;
  sealer: Sealer;
  gitlab: GitlabAccess;
}

export interface PageRequest {
  runId: string;
  /** GitLab's id of our account. */
  userId: number;
  /** The workflow's clock, ISO 8601. In tests it runs ahead of the machine's. */
  at: string;
}

export interface InstalledPage {
  /** Repositories that were seen to. */
  done: number;
  /** Those that are still due; 0 when the run has nothing left to do. */
  remaining: number;
  interruption: Interruption | null;
}

interface SightRequest extends PageRequest {
  onlyDue: boolean;
}

/** Asks GitLab, when one of those is done that it is asked about now; or no more, since the page is over. */
type Turn = <T>(ask: () => Promise<T>) => Promise<T | 'over'>;

export type GitlabHooks = ReturnType<typeof createGitlabHooks>;

const HEARTBEAT_MS = 5_000;
/** After so many repositories in a row for which GitLab gave no answer, it is GitLab that is away. */
const AWAY_AFTER = 10;

/**
 * How many hooks are in hand at once: some more than GitLab is asked about, so that it need not wait while those before are
 * written down and those after are read.
 */
export function hooksInHand(concurrency: number): number {
  return concurrency + 4;
}

export function createGitlabHooks({ db, sealer, gitlab }: GitlabHooksDependencies) {
  // For all runs of this process. Each hook in hand takes a connection to Postgres, which holds its lock.
  let limits: { inHand: LimitFunction; askedAbout: LimitFunction } | undefined;
  return {
    /**
     * Sees to the repositories and groups that have waited longest, a page of them, each once in a run.
     * @throws ApplicationFailure `GitLabFault` when GitLab is away
     */
    async installPage(request: PageRequest): Promise<InstalledPage> {
      return whileAlive(async (signal) => {
        const ids = await listDueHooks(db, { runId: request.runId, at: new Date(request.at), limit: PAGE_SIZE });
        return await seeTo(ids, { ...request, onlyDue: true }, signal);
      });
    },

    /** Sees to one, whether it is due or not. */
    async installOne(hookId: string, request: PageRequest): Promise<InstalledPage> {
      return whileAlive(async (signal) => {
        const { done, interruption } = await seeTo([hookId], { ...request, onlyDue: false }, signal);
        if (done === 0 && interruption === null) throw hookIsBusy();
        return { done, remaining: 0, interruption };
      });
    },

    /** Once the hook of a group is in place, its projects need none of their own; while it is not, they do. */
    async coverGroup(group: { id: number; hookId: string }, at: string): Promise<{ covered: boolean }> {
      const covered = (await readHook(db, group.hookId))?.state === 'installed';
      await (covered ? coverRepositories : uncoverRepositories)(db, group.id, new Date(at));
      return { covered };
    },
  };

  async function seeTo(ids: readonly string[], request: SightRequest, signal: AbortSignal): Promise<InstalledPage> {
    const settings = settingsOf(gitlab);
    const work = { sealer, settings, userId: request.userId, signal };
    limits ??= { inHand: pLimit(hooksInHand(settings.concurrency)), askedAbout: pLimit(settings.concurrency) };
    const { inHand, askedAbout } = limits;
    const context = Context.current();
    let interruption: Interruption | undefined;
    let fault: { error: unknown } | undefined;
    let done = 0;
    let unanswered = 0;
    const isOver = (): boolean => {
      interruption ??= reserveReached(settings, Date.now());
      return interruption !== undefined || fault !== undefined || unanswered >= AWAY_AFTER;
    };
    const inTurn: Turn = (ask) =>
      askedAbout(async () => {
        if (isOver()) return 'over';
        try {
          return await ask();
        } catch (error) {
          interruption ??= interruptionOf(error); // before the next one has its turn
          throw error;
        }
      });
    await Promise.all(
      ids.map((id) =>
        inHand(async () => {
          if (isOver()) return;
          const result = await seeToOne(id, request, work, inTurn).catch((error: unknown) => {
            fault ??= { error };
            return 'broken' as const;
          });
          context.heartbeat(done);
          if (result === 'busy' || result === 'over' || result === 'broken') return; // busy: another run has it in hand
          if (typeof result === 'object') {
            interruption = result;
            return;
          }
          unanswered = result === 'unanswered' ? unanswered + 1 : 0;
          done++;
        }),
      ),
    );
    if (fault !== undefined) throw fault.error; // only now: whoever does the page again is not to come upon what is under way
    if (interruption === undefined && unanswered >= AWAY_AFTER) throw gitlabIsAway(unanswered);
    const remaining = await countDueHooks(db, { runId: request.runId, at: new Date(request.at) });
    return { done, remaining, interruption: interruption ?? null };
  }

  async function seeToOne(
    id: string,
    { runId, at, onlyDue }: SightRequest,
    context: Omit<HookWork, 'db'>,
    inTurn: Turn,
  ): Promise<Interruption | 'done' | 'unanswered' | 'busy' | 'over'> {
    const seen = { runId, at: new Date(at) };
    return withHookLock(db, id, async (connection) => {
      const work: HookWork = { ...context, db: connection };
      const record = await readHook(connection, id);
      if (record === undefined || record.lastRunId === runId) return 'done';
      // Another run has seen to it since the page was listed, and it is that one's to count.
      if (onlyDue && record.dueAt > seen.at) return 'done';
      try {
        const writeDown = await inTurn(() => see(record, seen, work));
        if (writeDown === 'over') return 'over';
        await writeDown();
        return 'done';
      } catch (error) {
        return await recordFault(record, seen, error, work);
      }
    });
  }

  /** @returns what is to be done when it is no longer its turn */
  async function see(
    record: HookRecord,
    seen: { runId: string; at: Date },
    work: HookWork,
  ): Promise<() => Promise<unknown>> {
    if (record.covered) {
      await removeHooks(work, record);
      return () => recordCovered(work.db, record.id, seen);
    }
    const { outcome, hook, secretId } = await bringIntoPlace(work, record);
    const { verifyMs } = work.settings;
    const isSending = hook.alertStatus === null || hook.alertStatus === 'executable';
    const delayMs = recheckDelayMs({ state: isSending ? 'installed' : 'error', attempts: 1, verifyMs });
    const installed = {
      ...seen,
      outcome,
      secretId,
      gitlabHookId: hook.id,
      alertStatus: hook.alertStatus,
      disabledUntil: hook.disabledUntil === null ? null : new Date(hook.disabledUntil),
      dueAt: new Date(seen.at.getTime() + delayMs),
    };
    return () => recordInstalled(work.db, record.id, installed);
  }

  async function recordFault(
    record: HookRecord,
    { runId, at }: { runId: string; at: Date },
    error: unknown,
    { db: connection, settings, signal }: HookWork,
  ): Promise<Interruption | 'done' | 'unanswered'> {
    signal.throwIfAborted(); // what we broke off ourselves says nothing of GitLab
    const interruption = interruptionOf(error);
    if (interruption?.endedEarly === 'rate_limited') return interruption; // it has not had its turn
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    const { state, reason } = fault;
    // Only some editions of GitLab have hooks of groups, and only an Owner may make them: without, its projects have theirs.
    const isNoMatter = record.owner.kind === 'group' && (state === 'not_found' || state === 'no_access');
    const isOver = state === null || state === 'invalid_credentials'; // the next run looks again
    const delayMs = isOver ? 0 : recheckDelayMs({ state, attempts: record.failures + 1, verifyMs: settings.verifyMs });
    await recordNotInstalled(connection, record.id, {
      runId,
      at,
      state,
      outcome: isNoMatter ? null : state === null || state === 'error' ? 'failed' : 'blocked',
      reason,
      dueAt: new Date(at.getTime() + delayMs),
    });
    return interruption ?? (state === null ? 'unanswered' : 'done');
  }
}

/** Shows Temporal that this worker lives, however long GitLab takes; and ends when Temporal wants it to. */
async function whileAlive<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const pulse = setInterval(() => {
    context.heartbeat();
  }, HEARTBEAT_MS);
  try {
    return await work(context.cancellationSignal);
  } catch (error) {
    // Cancelled is only what somebody wanted cancelled; a worker that stops leaves its page to another.
    if (context.cancellationDetails?.cancelRequested) throw context.cancellationSignal.reason as Error;
    throw gitlabHooksRetry(error);
  } finally {
    clearInterval(pulse);
  }
}
