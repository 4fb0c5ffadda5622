import { type BatchedAttempt, recordFirstAttempts } from '../src/database/first-attempts.ts';
import { type ForgeflowDatabase, isConnectionFault } from '../src/database/connection.ts';
import { keepBooksOfMany, type MadeAttempt } from './subscription-books.ts';

/** An attempt of a batch, and what the books of its subscription need. */
export type LedgerEntry = BatchedAttempt & MadeAttempt;

interface Waiting {
  entries: LedgerEntry[];
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/** Attempts written down in one statement, unless one batch alone brings more. */
const TOGETHER = 200;

/**
 * Writes the attempts of all batches of a process down. What comes while one statement is under way goes with the next one: each
 * statement is planned anew and is a transaction of its own.
 */
export class AttemptRecorder {
  readonly #db: ForgeflowDatabase;
  readonly #breakerFailures: number;
  readonly #waiting: Waiting[] = [];
  #isWriting = false;

  constructor({ db, breakerFailures }: { db: ForgeflowDatabase; breakerFailures: number }) {
    this.#db = db;
    this.#breakerFailures = breakerFailures;
  }

  /** Resolves when they are in the database, and the books of their subscriptions are kept. @throws what Postgres threw */
  async record(entries: LedgerEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entries, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    for (let taken = this.#take(); taken.length > 0; taken = this.#take()) await this.#writeTogether(taken);
    this.#isWriting = false;
  }

  #take(): Waiting[] {
    let count = 0;
    const end = this.#waiting.findIndex(({ entries }, at) => (count += entries.length) > TOGETHER && at > 0);
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  async #writeTogether(taken: Waiting[]): Promise<void> {
    try {
      await this.#write(taken.flatMap(({ entries }) => entries));
      for (const { resolve } of taken) resolve();
    } catch (error) {
      // One that cannot be written must not keep those of other batches.
      if (taken.length > 1 && !isConnectionFault(error)) for (const one of taken) await this.#writeTogether([one]);
      else for (const { reject } of taken) reject(error);
    }
  }

  async #write(entries: LedgerEntry[]): Promise<void> {
    await recordFirstAttempts(this.#db, entries);
    await keepBooksOfMany(this.#db, entries, this.#breakerFailures);
  }
}
