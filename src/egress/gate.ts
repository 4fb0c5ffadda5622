export interface GateLimits {
  /** Requests in flight at once. */
  total: number;
  /** Requests in flight at once to one subscription. */
  perSubscription: number;
}

/** A place among the requests in flight, to be left when the request is over. */
export interface Place {
  /** Whether it took a while to get: what was known before may not hold any more. */
  waited: boolean;
  leave(): void;
}

type Admit = (leave: (() => void) | null) => void;

interface Lane {
  inFlight: number;
  waiting: Admit[];
}

/**
 * Bounds the requests of this process. Whoever finds no place free waits; places go round the subscriptions that wait,
 * so that one with a long queue, or one that never answers, keeps the others no longer than one place takes.
 */
export class EgressGate {
  readonly #limits: GateLimits;
  /** Subscriptions with requests in flight or waiting. Those served last are at the end. */
  readonly #lanes = new Map<string, Lane>();
  #inFlight = 0;
  #closed = false;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** @returns null when no place came free in that time, or the gate was closed */
  async enter(subscriptionId: string, patienceMs: number): Promise<Place | null> {
    if (this.#closed) return null;
    const lane = this.#lanes.get(subscriptionId) ?? { inFlight: 0, waiting: [] };
    this.#lanes.set(subscriptionId, lane);
    return new Promise((resolve) => {
      let waited = false;
      const timer = setTimeout(() => {
        lane.waiting = lane.waiting.filter((one) => one !== admit);
        this.#forgetIfIdle(subscriptionId, lane);
        resolve(null);
      }, patienceMs);
      const admit: Admit = (leave) => {
        clearTimeout(timer);
        resolve(leave === null ? null : { waited, leave });
      };
      lane.waiting.push(admit);
      this.#admit();
      waited = true;
    });
  }

  /** Sends away who waits, and whoever comes from now on. Requests in flight are let through. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes.values()) for (const admit of lane.waiting.splice(0)) admit(null);
  }

  #admit(): void {
    while (this.#inFlight < this.#limits.total) {
      const next = [...this.#lanes].find(
        ([, { waiting, inFlight }]) => waiting.length > 0 && inFlight < this.#limits.perSubscription,
      );
      if (next === undefined) return;
      const [subscriptionId, lane] = next;
      this.#lanes.delete(subscriptionId); // to the end of the line
      this.#lanes.set(subscriptionId, lane);
      this.#inFlight += 1;
      lane.inFlight += 1;
      lane.waiting.shift()?.(this.#leaving(subscriptionId, lane));
    }
  }

  #leaving(subscriptionId: string, lane: Lane): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inFlight -= 1;
      lane.inFlight -= 1;
      this.#forgetIfIdle(subscriptionId, lane);
      this.#admit();
    };
  }

  #forgetIfIdle(subscriptionId: string, { inFlight, waiting }: Lane): void {
    if (inFlight === 0 && waiting.length === 0) this.#lanes.delete(subscriptionId);
  }
}
