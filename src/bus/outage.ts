import type { Logger } from '../logging.ts';

/**
 * What the bus depends on is away: said once when it begins, however many notice and however often, and once when it is
 * over for all of them.
 */
export class Outage {
  readonly #logger: Logger;
  readonly #suffering = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  begins(for_: string, error: unknown): void {
    if (this.#suffering.size === 0) {
      this.#logger.warn('the bus is idle until Postgres and Temporal answer again', {
        noticedBy: for_,
        problem: describe(error),
      });
    } else this.#logger.debug('the bus is still idle', { noticedBy: for_, problem: describe(error) });
    this.#suffering.add(for_);
  }

  ends(for_: string): void {
    if (!this.#suffering.delete(for_) || this.#suffering.size > 0) return;
    this.#logger.info('the bus is at work again');
  }
}

/** Messages alone: what else hangs on such errors may carry a connection's password. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown fault';
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return (error.message || error.name) + cause;
}
