export interface LoggedRequest {
  method: string;
  /** With its query, and without `/api/v4`. */
  path: string;
  /** As it came, secrets included. */
  body: string;
  /** Epoch ms of the stand-in's clock, when it had arrived. */
  at: number;
  /** What was answered; null while it is not, and for ever when the connection was torn down. */
  status: number | null;
}

/** The requests to the API in the order they came, up to a bound: then the older half goes. */
export class RequestLog {
  readonly entries: LoggedRequest[] = [];
  /** How many there were in all. */
  total = 0;
  /** How many the API works at now, and at most since `total` was 0. */
  inFlight = 0;
  mostInFlight = 0;
  readonly #bound: number;

  constructor(bound: number) {
    this.#bound = bound;
  }

  begin(method: string, path: string, body: string, at: number): LoggedRequest {
    const entry: LoggedRequest = { method, path, body, at, status: null };
    this.total++;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    if (this.#bound > 0) this.entries.push(entry);
    if (this.entries.length > this.#bound) this.entries.splice(0, Math.ceil(this.#bound / 2));
    return entry;
  }

  end(): void {
    this.inFlight--;
  }

  /** Forgets everything, for the next part of a test. */
  clear(): void {
    this.entries.length = 0;
    this.total = 0;
    this.mostInFlight = this.inFlight;
  }
}
