/** What must be stopped at the end, whatever happened; the last first. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  readonly #starting = new Set<Promise<unknown>>();
  #begun = false;

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** Starts something that outlives this process unless it is stopped: also one that is only coming up when all is to end. */
  async start<T extends { stop(): unknown }>(start: () => Promise<T>): Promise<T> {
    if (this.#begun) throw new Error('too late to start anything');
    const starting = start().then((started) => {
      this.add(() => started.stop());
      return started;
    });
    this.#starting.add(starting);
    return starting.finally(() => this.#starting.delete(starting));
  }

  /** One step that fails does not keep the others from being taken. */
  async run(): Promise<void> {
    this.#begun = true;
    await Promise.allSettled(this.#starting);
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(`while cleaning up: ${String(error)}\n`);
      }
    }
  }
}

/**
 * Runs a bench with a {@link Cleanup} that is run at its end, also when it throws, and when the process is asked to end:
 * then the signal aborts, and the process ends as one does that was interrupted.
 */
export async function withCleanup<T>(work: (cleanup: Cleanup, signal: AbortSignal) => Promise<T>): Promise<T> {
  const cleanup = new Cleanup();
  const controller = new AbortController();
  let interrupt: ((reason: Error) => void) | undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    interrupt = reject;
  });
  const onSignal = (): void => {
    // What is under way fails in many places now that its servers go; that is nobody's concern any more.
    process.on('unhandledRejection', () => undefined);
    const reason = new Error('interrupted');
    controller.abort(reason);
    interrupt?.(reason);
  };
  // Not `once`: while a child of execa's runs, a signal that nobody else listens to (any more) ends this process at once.
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    return await Promise.race([work(cleanup, controller.signal), interrupted]);
  } finally {
    await cleanup.run();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    if (controller.signal.aborted) process.exit(130);
  }
}
