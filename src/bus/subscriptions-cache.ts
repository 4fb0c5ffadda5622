import type { Database } from '../database/connection.ts';
import { type Interest, listInterests, subscriptionsVersion } from '../database/subscriptions.ts';
import { TopicMatcher } from '../domain/topic-matcher.ts';
import { checkPattern } from '../domain/topic-pattern.ts';
import type { Logger } from '../logging.ts';

/** Who wants which topics, as of a version of the subscriptions. */
export interface Interests {
  version: string;
  matcher: TopicMatcher<Interest>;
}

/** Who wants which topics, kept in memory as an index. */
export class SubscriptionsCache {
  readonly #logger: Logger;
  #interests: Interests | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Matches as of now: in the transaction that took the events, so that each of them meets the patterns that were
   * committed before it. Costs one small read while nothing has changed.
   */
  async current(db: Database): Promise<Interests> {
    const known = this.#interests;
    return known?.version === (await subscriptionsVersion(db)) ? known : this.reload(db);
  }

  /** Reads all of them, whatever is in memory. */
  async reload(db: Database): Promise<Interests> {
    const version = await subscriptionsVersion(db); // first: what changes after it is read again
    const interests = await listInterests(db);
    const matcher = new TopicMatcher(interests.filter((interest) => this.#isSound(interest)));
    const current = { version, matcher };
    this.#interests = current;
    return current; // a slower one, which began before, may put its own in the place of this
  }

  /** One malformed row, written past our checks, must not keep events from all the others. */
  #isSound({ id, name, patterns }: Interest): boolean {
    try {
      if (patterns.length === 0) throw new Error('it has no patterns');
      for (const pattern of patterns) checkPattern(pattern);
      return true;
    } catch (error) {
      this.#logger.error('a malformed subscription gets no events', {
        subscriptionId: id,
        name,
        problem: error instanceof Error ? error.message : 'unknown fault',
      });
      return false;
    }
  }
}
