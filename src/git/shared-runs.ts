interface Run<T> {
  result: Promise<T>;
  started: boolean;
  waiting: number;
  stop: AbortController;
}

/**
 * One run at a time for each key. Whoever comes while one goes on may know of something that it did not see any more,
 * so he gets the next one, together with all the others who came meanwhile.
 */
export class SharedRuns<T> {
  readonly #latest = new Map<string, Run<T>>();

  /**
   * @param work must mean the same for every caller of the key; its signal aborts when all of them have left
   * @throws the caller's signal's reason once it aborts
   */
  async join(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const latest = this.#latest.get(key);
    const isJoinable = latest !== undefined && !latest.started && !latest.stop.signal.aborted;
    const run = isJoinable ? latest : this.#after(latest, key, work);
    run.waiting += 1;
    try {
      return await unlessAborted(run.result, signal);
    } finally {
      run.waiting -= 1;
      if (run.waiting === 0) run.stop.abort(signal?.reason);
    }
  }

  #after(previous: Run<T> | undefined, key: string, work: (signal: AbortSignal) => Promise<T>): Run<T> {
    const stop = new AbortController();
    const run: Run<T> = { started: false, waiting: 0, stop, result: start(previous?.result) };
    async function start(before: Promise<T> | undefined): Promise<T> {
      await before?.catch(() => undefined);
      run.started = true;
      stop.signal.throwIfAborted();
      return work(stop.signal);
    }
    this.#latest.set(key, run);
    run.result
      .catch(() => undefined)
      .finally(() => {
        if (this.#latest.get(key) === run) this.#latest.delete(key);
      });
    return run;
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
