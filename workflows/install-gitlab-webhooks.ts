import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { InstallResult } from '../src/domain/install-run.ts';
import { describeInstallation } from './gitlab-details.ts';
import {
  BEGINNING,
  identify,
  Interrupted,
  isHistoryLong,
  listPage,
  now,
  type RunProgress,
  sentenceOf,
  unlessInterrupted,
} from './gitlab-run.ts';
import { gitlabListing, gitlabPages, gitlabRuns } from './proxies.ts';
import { stateKey } from './search-attributes.ts';

export interface InstallInput {
  /** Path of the one repository to see to; all that are due when left out. */
  repository?: string;
  /** Left out at first. */
  progress?: RunProgress;
}

/**
 * Brings the webhook of every repository, and of the group, into place: lists the repositories, then takes those that are
 * due, page after page, until none is left or GitLab wants us to pause. What is done is kept, so the next run goes on.
 * @throws ApplicationFailure `SettingMissing`, `NotInGitLab`; `GitLabFault` when GitLab is away
 */
export async function installGitLabWebhooks({
  repository,
  progress = BEGINNING,
}: InstallInput): Promise<InstallResult> {
  const { firstExecutionRunId: runId, workflowId } = workflowInfo();
  const single = repository !== undefined;
  let at = progress;

  async function reach(step: Promise<RunProgress>): Promise<void> {
    at = await step;
    setCurrentDetails(describeInstallation(at, null));
    if (isHistoryLong())
      await continueAsNew<typeof installGitLabWebhooks>({ ...(single && { repository }), progress: at });
  }

  async function close(interrupted: Interrupted | null, error: string | null): Promise<InstallResult> {
    const interruption = interrupted?.interruption ?? null;
    const result = await gitlabRuns.closeGitlabRun({ runId, at: now(), single, interruption, error });
    setCurrentDetails(describeInstallation(at, { result, error }));
    const state = error === null ? (result.endedEarly ?? 'done') : 'failed';
    upsertSearchAttributes([{ key: stateKey, value: state }]);
    return result;
  }

  try {
    if (at.identity === null) {
      await gitlabRuns.openGitlabRun({ runId, workflowId, repository: repository ?? null, at: now() });
      await reach(identify(at));
    }
    if (single) {
      await reach(installOne(repository, at));
    } else {
      while (!at.isListed) await reach(listPage(at));
      if (at.page === 0) await coverGroup(at);
      while (at.remaining !== 0) await reach(installPage(at));
    }
    return await close(null, null);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    if (error instanceof Interrupted) return await close(error, null);
    await CancellationScope.nonCancellable(() => close(null, sentenceOf(error)));
    throw error;
  }

  function request() {
    return { runId, userId: at.identity?.userId ?? 0, at: now() };
  }

  async function installOne(path: string, before: RunProgress): Promise<RunProgress> {
    const { hookId } = unlessInterrupted(await gitlabListing.findRepository(path, now()));
    const { done, interruption } = await gitlabPages.installOne.executeWithOptions({ summary: path }, [
      hookId,
      request(),
    ]);
    if (interruption !== null) throw new Interrupted(interruption);
    return { ...before, page: 1, done, remaining: 0 };
  }

  /** Where the hook of the group is in place, its projects need none of their own. */
  async function coverGroup({ identity }: RunProgress): Promise<void> {
    const group = identity?.group ?? null;
    if (group === null) return;
    const summary = `group ${group.path}`;
    const { interruption } = await gitlabPages.installOne.executeWithOptions({ summary }, [group.hookId, request()]);
    if (interruption !== null) throw new Interrupted(interruption);
    await gitlabListing.coverGroup(group, now());
  }

  async function installPage(before: RunProgress): Promise<RunProgress> {
    const page = before.page + 1;
    const summary = `page ${page}`;
    const { done, remaining, interruption } = await gitlabPages.installPage.executeWithOptions({ summary }, [
      request(),
    ]);
    at = { ...before, page, done: before.done + done, remaining };
    if (interruption !== null) throw new Interrupted(interruption);
    // What another run has in hand just now is left to that.
    return done === 0 ? { ...at, remaining: 0 } : at;
  }
}
