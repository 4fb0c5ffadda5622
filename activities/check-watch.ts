import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL_MS = 2_000;

export interface Watched {
  /** Aborts with {@link Unwanted} once nobody wants the work any more, and with the reason of the signal given. */
  signal: AbortSignal;
  stop(): void;
}

/** Nobody wants what is under way any more. */
export class Unwanted extends Error {
  override readonly name = 'Unwanted';
}

/** Looks now and then whether work is still wanted. A look that fails tells nothing: whoever could not be asked is asked again. */
export function watchWanted(isWanted: () => Promise<boolean>, signal: AbortSignal): Watched {
  const unwanted = new AbortController();
  const stop = new AbortController();

  async function watch(): Promise<void> {
    for (;;) {
      await sleep(INTERVAL_MS, undefined, { signal: stop.signal, ref: false });
      if (await isWanted().catch(() => true)) continue;
      unwanted.abort(new Unwanted('it is not wanted any more'));
      return;
    }
  }

  watch().catch(() => undefined); // it was stopped
  return {
    signal: AbortSignal.any([signal, unwanted.signal]),
    stop: () => {
      stop.abort();
    },
  };
}
