import { putBack } from '../src/database/first-attempts.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { AttemptRecorder, LedgerEntry } from './attempt-recorder.ts';
import { patiently, recordPatiently } from './attempt-records.ts';
import { keepBooks } from './subscription-books.ts';

export interface LedgerOptions {
  db: ForgeflowDatabase;
  batchId: string;
  /** Of all batches of this process. */
  recorder: AttemptRecorder;
  breakerFailures: number;
  /** Ends the waiting for a database that is away: nobody waits for this batch any more. */
  signal: AbortSignal;
  /** Told of how many are written down. */
  onWritten: (count: number) => void;
  /** Told when something cannot be written; nothing is written any more then. */
  onFault: () => void;
}

/** How long what is to be written down waits for more of it, in ms. */
const GATHERED_WITHIN_MS = 25;

/**
 * Writes down what came of the attempts of a batch: many in one statement, and soon after they were made, whatever keeps the
 * others. What a worker that is killed had not written down is all that is repeated.
 */
export class AttemptLedger {
  readonly #options: LedgerOptions;
  #made: LedgerEntry[] = [];
  #unsent: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** An attempt was made. */
  enter(entry: LedgerEntry): void {
    this.#made.push(entry);
    this.#writeSoon();
  }

  /** A delivery is not sent by this batch: it is admitted again. */
  putBack(deliveryId: string): void {
    this.#unsent.push(deliveryId);
    this.#writeSoon();
  }

  /** Writes the rest. @throws what kept anything from being written */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#write();
    await this.#writing;
  }

  #writeSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#write();
    }, GATHERED_WITHIN_MS);
  }

  /** One statement at a time: what comes meanwhile is written with the next. */
  #write(): void {
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeAll());
    this.#writing.catch(this.#options.onFault); // thrown by close
  }

  async #writeAll(): Promise<void> {
    const [made, unsent] = [this.#made.splice(0), this.#unsent.splice(0)];
    const { db, batchId, recorder, breakerFailures, signal, onWritten } = this.#options;
    const [gone, others] = apart(made, ({ verdict }) => verdict.disablesSubscription);
    if (others.length > 0) await patiently(() => recorder.record(others), signal);
    for (const attempt of gone) {
      await recordPatiently(db, attempt, attempt.before.subscriptionId, signal);
      await keepBooks(db, attempt, breakerFailures);
    }
    if (unsent.length > 0) await patiently(() => putBack(db, batchId, unsent), signal);
    onWritten(made.length + unsent.length);
  }
}

function apart<T>(all: T[], belongs: (one: T) => boolean): [T[], T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}
