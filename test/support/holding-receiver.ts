import { setTimeout as sleep } from 'node:timers/promises';
import { type AnyAnswer, type ReceivedRequest, type Receiver, startReceiver } from './receiver.ts';

export interface HoldingReceiver extends Receiver {
  /** Answers all that is held, and all that comes from now on. */
  letGo(answer: AnyAnswer): void;
}

/**
 * A receiver that holds requests until it is told what to answer.
 * @param answersAtOnce which of them, the `index`-th from 0 on, it answers at once, with 200; none when left out
 */
export async function startHoldingReceiver(
  answersAtOnce: (request: ReceivedRequest, index: number) => boolean = () => false,
): Promise<HoldingReceiver> {
  let letGo: ((answer: AnyAnswer) => void) | undefined;
  const told = new Promise<AnyAnswer>((resolve) => (letGo = resolve));
  const receiver = await startReceiver({ answer: (request, index) => (answersAtOnce(request, index) ? 200 : told) });
  return {
    ...receiver,
    letGo: (answer) => {
      letGo?.(answer);
    },
  };
}

/** Waits until no more requests come. @returns the ids of the deliveries that came */
export async function untilNoMoreCome({ requests }: Receiver): Promise<Set<string>> {
  for (let before = -1; before < requests.length;) {
    before = requests.length;
    await sleep(300);
  }
  return new Set(idsOf(requests));
}

/** The webhook-ids of requests, in the order in which they came. */
export function idsOf(requests: ReceivedRequest[]): string[] {
  return requests.map(({ headers }) => String(headers['webhook-id']));
}
