/** The stand-in's time: that of the machine, and what a test has let pass on top of it. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Lets time pass for rate limits, tokens that expire and disabled hooks; nothing waits for it. */
  advance(ms: number): void;
}

export function createClock(): Clock {
  let skippedMs = 0;
  return {
    now: () => Date.now() + skippedMs,
    advance(ms) {
      skippedMs += ms;
    },
  };
}
