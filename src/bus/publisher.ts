import { type Database, type ForgeflowDatabase, isConnectionFault } from '../database/connection.ts';
import { insertEvents } from '../database/events.ts';
import { type CheckedEvent, checkPublication, type Publication, type PublishedEvent, storeEvent } from './outbox.ts';

/** Statements under way at once: one that waits for somebody's transaction does not hold up all others. */
const MOST_STATEMENTS = 4;
/** How long an event waits for the statement before its own to end, in ms. */
const PATIENCE_MS = 20;
const MOST_EVENTS = 100;
const MOST_CHARACTERS = 2 * 1024 * 1024;
/** How long events wait for somebody's transaction that only one of them depends on, in ms. */
const PATIENCE_WITH_OTHERS_MS = 500;

interface Waiting {
  event: CheckedEvent;
  isGivenUp: () => boolean;
  resolve: (published: PublishedEvent) => void;
  reject: (reason: unknown) => void;
}

/** Whoever was to publish does not wait for it any more, so it was not done. */
export class GivenUp extends Error {
  override readonly name = 'GivenUp';

  constructor() {
    super('it was not published');
  }
}

/**
 * Publishes for many at once. A commit that syncs to disk costs far more than storing an event does, so those that come while
 * one is on its way share the next. Each is published once it is stored, and by itself: one that is refused, or that was there
 * already, is nothing to the others.
 */
export class Publisher {
  readonly #db: ForgeflowDatabase;
  readonly #waiting: Waiting[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(db: ForgeflowDatabase) {
    this.#db = db;
  }

  /**
   * Returns once the event is stored.
   * @param isGivenUp asked before it is sent to Postgres
   * @throws Refusal for bad input; nothing is stored then. GivenUp
   */
  async publish(publication: Publication, isGivenUp = (): boolean => false): Promise<PublishedEvent> {
    const event = checkPublication(publication);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, isGivenUp, resolve, reject });
      if (this.#underWay === 0) this.#send();
      else
        this.#timer ??= setTimeout(() => {
          this.#send();
        }, PATIENCE_MS);
    });
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#forgetGivenUp(); // Postgres may be frozen, for long
    if (this.#waiting.length === 0 || this.#underWay === MOST_STATEMENTS) return;
    this.#underWay += 1;
    let taken: Waiting[] = [];
    this.#db
      .connection()
      .execute(async (connection) => {
        taken = this.#take(); // what came while a connection was waited for goes along
        return storeTogether(connection, taken);
      })
      .then((left) => {
        for (const one of left) void this.#storeAlone(one);
      })
      .catch((error: unknown) => {
        // Without a connection nothing was taken; those who wait hear of it.
        for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
      })
      .finally(() => {
        this.#underWay -= 1;
        this.#send();
      });
  }

  /** Those who still wait, as many as one statement takes. */
  #take(): Waiting[] {
    this.#forgetGivenUp();
    let characters = 0;
    const end = this.#waiting.findIndex(({ event }, at) => {
      characters += event.payload.length;
      return at === MOST_EVENTS || (at > 0 && characters > MOST_CHARACTERS);
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  #forgetGivenUp(): void {
    for (const one of this.#waiting.splice(0)) {
      if (one.isGivenUp()) one.reject(new GivenUp());
      else this.#waiting.push(one);
    }
  }

  async #storeAlone({ event, isGivenUp, resolve, reject }: Waiting): Promise<void> {
    await this.#db
      .connection()
      .execute(async (connection) => {
        if (isGivenUp()) throw new GivenUp();
        return storeEvent(connection, event);
      })
      .then(resolve, reject);
  }
}

/**
 * Stores what can be stored together.
 * @returns those that are each to be stored by itself: to be told what is wrong with it, or that it was there already
 */
async function storeTogether(db: Database, taken: Waiting[]): Promise<Waiting[]> {
  if (taken.length < 2) return taken;
  const events = taken.map(({ event }) => event);
  // In one order, so that processes which publish the same do not block each other.
  const fresh = await insertEvents(db, events.toSorted(byKeys), PATIENCE_WITH_OTHERS_MS).catch((error: unknown) => {
    if (isConnectionFault(error)) throw error;
    return new Set<string>();
  });
  return taken.filter(({ event, resolve }) => {
    const isFresh = fresh.delete(event.id); // once: the second of one id is a duplicate
    if (isFresh) resolve({ eventId: event.id, duplicate: false });
    return !isFresh;
  });
}

function byKeys(one: CheckedEvent, other: CheckedEvent): number {
  const [a = '', b = ''] = [one, other].map(({ dedupeKey, id }) => `${dedupeKey ?? ''} ${id}`);
  return a < b ? -1 : 1;
}
