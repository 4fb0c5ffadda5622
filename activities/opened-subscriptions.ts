import { log } from '@temporalio/activity';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { type BatchedSubscription, loadBatchedSubscriptions } from '../src/database/first-attempts.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { openHeaders, openSecrets } from './sealed-subscription.ts';

/** A subscription, as requests to it are made. */
export interface OpenedSubscription extends BatchedSubscription {
  secrets: [string, ...string[]];
  headers: Record<string, string>;
}

/** Null: its secrets do not open. */
type Opened = OpenedSubscription | null;

interface Kept {
  subscription: Opened;
  version: bigint;
  /** By the machine's clock, in ms. */
  until: number;
}

const KEPT_FOR_MS = 1_000;

/** The subscriptions that batches of this process send to: each is read and opened once, until one of them changes. */
export class OpenedSubscriptions {
  readonly #db: ForgeflowDatabase;
  readonly #sealer: Sealer;
  readonly #kept = new Map<string, Kept>();
  #wanted = new Set<string>();
  #reading: Promise<Map<string, Opened>> | undefined;

  constructor({ db, sealer }: { db: ForgeflowDatabase; sealer: Sealer }) {
    this.#db = db;
    this.#sealer = sealer;
  }

  /**
   * @param version of the subscriptions; what is older is read anew
   * @returns null for one that cannot be opened, undefined for one that is gone
   */
  async get(id: string, version: string): Promise<Opened | undefined> {
    const kept = this.#kept.get(id);
    const isCurrent = kept !== undefined && kept.version >= BigInt(version) && Date.now() < kept.until;
    return isCurrent ? kept.subscription : this.#read(id);
  }

  /** What is asked for in one turn is read in one statement. */
  async #read(id: string): Promise<Opened | undefined> {
    this.#wanted.add(id);
    this.#reading ??= Promise.resolve().then(() => {
      const ids = [...this.#wanted];
      this.#wanted = new Set();
      this.#reading = undefined; // who asks from now on may need what is committed only now
      return this.#load(ids);
    });
    return (await this.#reading).get(id);
  }

  async #load(ids: string[]): Promise<Map<string, Opened>> {
    const readAt = Date.now();
    for (const [id, { until }] of this.#kept) if (readAt >= until) this.#kept.delete(id);
    const loaded = new Map<string, Opened>();
    for (const { version, ...row } of await loadBatchedSubscriptions(this.#db, ids)) {
      const subscription = this.#open(row);
      loaded.set(row.id, subscription);
      const expiry = row.previousSecretExpiresAt?.getTime() ?? Infinity; // from then on it does not sign any more
      const until = Math.min(readAt + KEPT_FOR_MS, expiry > readAt ? expiry : Infinity);
      const kept = { subscription, version: BigInt(version), until };
      if (kept.version >= (this.#kept.get(row.id)?.version ?? 0n)) this.#kept.set(row.id, kept);
    }
    return loaded;
  }

  #open(row: BatchedSubscription): Opened {
    try {
      return { ...row, secrets: openSecrets(this.#sealer, row), headers: openHeaders(this.#sealer, row.headersSealed) };
    } catch (fault) {
      log.warn('a subscription cannot be read', { subscriptionId: row.id, fault: String(fault) });
      return null;
    }
  }
}
