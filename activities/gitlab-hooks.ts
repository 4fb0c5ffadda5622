import { Context } from '@temporalio/activity';
import pLimit, { type LimitFunction } from 'p-limit';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { coverRepositories, uncoverRepositories } from '../src/database/gitlab-groups.ts';
import { countDueHooks, listDueHooks, readHook } from '../src/database/gitlab-hooks.ts';
import { type Interruption, PAGE_SIZE } from '../src/domain/install-run.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { gitlabHooksRetry, gitlabIsAway, hookIsBusy } from './failures.ts';
import { type GitlabAccess, interruptionOf, reserveReached, settingsOf } from './gitlab-access.ts';
import { type Turn, type Visit, visitHook } from './gitlab-hook-visit.ts';

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

  async function seeTo(
    ids: readonly string[],
    request: PageRequest & Visit,
    signal: AbortSignal,
  ): Promise<InstalledPage> {
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
          const result = await visitHook(db, id, request, work, inTurn).catch((error: unknown) => {
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
