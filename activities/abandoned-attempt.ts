import { setMaxListeners } from 'node:events';
import { Context } from '@temporalio/activity';

/**
 * Aborts when nobody waits for this attempt any more: the worker is being shut down, or Temporal gave the attempt to
 * another. Someone's wish to cancel it is no reason to break off a request that is on its way.
 */
export function abandoned(): AbortSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // all requests of a batch listen
  const context = Context.current(); // the listener is called from outside of the activity
  context.cancellationSignal.addEventListener('abort', () => {
    if (context.cancellationDetails?.cancelRequested) return;
    controller.abort(new Error(`attempt ${context.info.activityId} was broken off`));
  });
  return controller.signal;
}
