import {
  ContinueAsNew,
  continueAsNew,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ListingResult } from '../src/domain/install-run.ts';
import { describeListing } from './gitlab-details.ts';
import { BEGINNING, identify, Interrupted, isHistoryLong, listPage, type RunProgress } from './gitlab-run.ts';
import { stateKey } from './search-attributes.ts';

/**
 * Lists the repositories that are ours in GitLab and keeps them, page after page; the installer does so too, first of all.
 * @throws ApplicationFailure `SettingMissing`, `NotInGitLab`; `GitLabFault` when GitLab is away
 */
export async function syncGitLabRepositories({
  progress = BEGINNING,
}: {
  progress?: RunProgress;
}): Promise<ListingResult> {
  const { firstExecutionRunId: runId } = workflowInfo();
  let at = progress;

  function show(interrupted: Interrupted | null): ListingResult {
    const { endedEarly = null, retryAt = null } = interrupted?.interruption ?? {};
    const result = { runId, listed: at.listed, added: at.added, endedEarly, retryAt };
    setCurrentDetails(describeListing(result));
    return result;
  }

  function end(state: string): void {
    upsertSearchAttributes([{ key: stateKey, value: state }]);
  }

  try {
    at = await identify(at);
    while (!at.isListed) {
      at = await listPage(at);
      show(null);
      if (isHistoryLong()) await continueAsNew<typeof syncGitLabRepositories>({ progress: at });
    }
    end('done');
    return show(null);
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    end(error instanceof Interrupted ? error.interruption.endedEarly : 'failed');
    if (error instanceof Interrupted) return show(error);
    throw error;
  }
}
