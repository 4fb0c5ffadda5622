import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { formatDelay } from '../src/domain/retry-policy.ts';
import {
  cancelDeliverySignal,
  cancelDeliveryUpdate,
  type DeliveryStatus,
  deliveryStatusQuery,
  retryNowSignal,
  retryNowUpdate,
} from './messages.ts';
import { egress, records } from './proxies.ts';
import { stateKey } from './search-attributes.ts';

export interface DeliverWebhookInput {
  deliveryId: string;
  /** Attempts of earlier rounds, or in a batch: their numbers are taken. */
  attemptsMade: number;
  /** What came of the attempt before, which was made in a batch; absent where this workflow makes the first of its round. */
  attempted?: Pick<DeliveryStatus, 'failureDetail' | 'lastAttemptAt' | 'nextAttemptAt'>;
}

/**
 * One delivery: attempt, sleep, attempt … until it got through or its 24 h are over. Postgres holds where it stands;
 * the attempt looks there before it sends, and writes there what came of it.
 * @throws ApplicationFailure `WebhookDeliveryFailure` when the delivery has failed for good
 */
export async function deliverWebhook(input: DeliverWebhookInput): Promise<DeliveryStatus> {
  const { deliveryId, attemptsMade, attempted } = input;
  let status: DeliveryStatus = {
    state: 'pending',
    attemptCount: attemptsMade,
    failureDetail: null,
    lastAttemptAt: null,
    nextAttemptAt: null,
    ...attempted,
  };
  let tryNow = false;

  const isWoken = () => tryNow;
  const isPending = () => status.state === 'pending';

  setHandler(deliveryStatusQuery, () => status);
  setHandler(retryNowSignal, () => {
    tryNow = true;
  });
  setHandler(retryNowUpdate, async () => {
    const before = status;
    tryNow = true;
    await condition(() => status !== before);
    return status;
  });
  setHandler(cancelDeliverySignal, cancel);
  setHandler(cancelDeliveryUpdate, async () => {
    await cancel();
    return status;
  });

  async function cancel(): Promise<void> {
    if (await records.cancelDelivery(deliveryId)) status = { ...status, state: 'cancelled', nextAttemptAt: null };
  }

  async function attempt(): Promise<void> {
    tryNow = false;
    const number = status.attemptCount + 1;
    const result = await egress.attemptDelivery.executeWithOptions({ summary: `attempt ${number}` }, [
      { deliveryId, number, askedAt: new Date().toISOString() },
    ]);
    status = {
      state: result.state,
      attemptCount: result.sentAt === null ? status.attemptCount : number,
      failureDetail: result.failureDetail,
      lastAttemptAt: result.sentAt ?? status.lastAttemptAt,
      nextAttemptAt: result.nextAttemptAt,
    };
  }

  async function waitForNextAttempt(): Promise<void> {
    // Held back, by the circuit breaker of its subscription or for want of room: a relay wakes it.
    if (status.nextAttemptAt === null) {
      await condition(() => isWoken() || !isPending());
      return;
    }
    const delayMs = Math.max(0, Date.parse(status.nextAttemptAt) - Date.now());
    await condition(() => isWoken() || !isPending(), delayMs, { summary: `retry in ${formatDelay(delayMs)}` });
  }

  // What the search attribute was started with.
  let shownState: DeliveryStatus['state'] = attempted === undefined ? 'delivered' : 'pending';
  function show(): void {
    setCurrentDetails(describe(status));
    if (status.state === shownState) return;
    shownState = status.state;
    upsertSearchAttributes([{ key: stateKey, value: shownState === 'deleted' ? 'cancelled' : shownState }]);
  }

  async function afterAttempt(): Promise<void> {
    show();
    if (isPending()) await waitForNextAttempt();
    else await condition(() => allHandlersFinished() || isWoken());
  }

  try {
    if (attempted !== undefined) await afterAttempt();
    // A signal that comes when the delivery seems to be over may say that it was queued again: look once more. So nothing
    // is awaited between the last look at it and the end.
    while (isPending() || isWoken()) {
      await attempt();
      await afterAttempt();
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(cancel);
    show();
    throw error;
  }
  show();
  if (status.state === 'failed') {
    throw ApplicationFailure.create({
      type: 'WebhookDeliveryFailure',
      nonRetryable: true,
      message: `${status.failureDetail ?? 'failed'} (attempts made: ${status.attemptCount})`,
    });
  }
  return status;
}

/** The details text of the Web UI, in its Markdown. */
function describe({ state, attemptCount, failureDetail, lastAttemptAt, nextAttemptAt }: DeliveryStatus): string {
  const isHeld = state === 'pending' && nextAttemptAt === null;
  return [
    `**${state}** after ${attemptCount} attempt${attemptCount === 1 ? '' : 's'}`,
    lastAttemptAt === null ? null : `last attempt: ${lastAttemptAt}`,
    failureDetail === null ? null : `last outcome: ${failureDetail}`,
    nextAttemptAt === null ? null : `next attempt: ${nextAttemptAt}`,
    isHeld
      ? 'held back until its subscription can take it: its circuit breaker is open, or too many are in flight'
      : null,
  ]
    .filter((line) => line !== null)
    .join('\n\n');
}
