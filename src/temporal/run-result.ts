import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { Refusal } from '../domain/refusal.ts';

/** Of a run that failed, its reason becomes the error: what Temporal wraps it in tells a user nothing. */
export async function resultOf<R>(handle: { result(): Promise<R> }): Promise<R> {
  try {
    return await handle.result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
    if (cause instanceof ApplicationFailure && cause.type === 'NotInGitLab')
      throw new Refusal('not_found', cause.message);
    if (cause instanceof TimeoutFailure)
      throw new Error('the run took too long for a worker to end it; see the Web UI');
    throw new Error(cause?.message ?? 'the run failed; see the Web UI');
  }
}
