import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWorker, type WorkerProcess } from './worker-process.ts';

export interface CrewOptions {
  workers: number;
  /** Their environment. */
  variables: Record<string, string>;
  /** A folder for their logs. */
  home: string;
}

export interface OrderlyEnd {
  exit: number | NodeJS.Signals;
  tookMs: number;
}

interface Place {
  /** Null while nobody has taken the place of one that ended. */
  worker: WorkerProcess | null;
  /** How long after its end the next one comes; null: nobody meant it to end. */
  pauseMs: number | null;
}

const PAUSE_AFTER_CRASH_MS = 1_000;
const MOST_CRASHES = 10;
/** A worker says that it is at work just before it listens for signals; until then one would end it at once. */
const LISTENS_AFTER_MS = 500;

/** Worker processes, each of which is replaced when it has ended, as whatever runs them in production would do. */
export class Crew {
  readonly pids: number[] = [];
  /** How those ended that nobody meant to end. */
  readonly crashes: string[] = [];
  /** How those ended that were asked to, by SIGTERM. */
  readonly orderlyEnds: OrderlyEnd[] = [];
  kills = 0;
  readonly #options: CrewOptions;
  readonly #places: Place[];
  readonly #keeping: Promise<unknown>;
  #closed = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.workers }, () => ({ worker: null, pauseMs: null }));
    this.#keeping = Promise.all(this.#places.map((place, index) => this.#keep(place, index)));
  }

  /** Resolves when all are at work. */
  async atWork(): Promise<void> {
    await Promise.all(this.#places.map((place) => this.#atWork(place)));
  }

  /** SIGKILL, whatever it is doing; another takes its place after a pause. */
  async kill(index: number, pauseMs: number): Promise<void> {
    const place = this.#places[index]!;
    const worker = await this.#present(place);
    place.pauseMs = pauseMs;
    worker.kill('SIGKILL');
    await worker.ended;
    this.kills += 1;
  }

  /** SIGTERM, once it is at work; another takes its place after a pause. */
  async retire(index: number, pauseMs: number): Promise<void> {
    const place = this.#places[index]!;
    const worker = await this.#atWork(place);
    place.pauseMs = pauseMs;
    await this.#ask(worker);
  }

  /** SIGTERM to all of them, and nobody takes their places. */
  async stop(): Promise<void> {
    await this.atWork();
    this.#closed = true;
    await Promise.all(this.#places.map(async ({ worker }) => worker && this.#ask(worker)));
    await this.#keeping;
  }

  /** Ends what is left of them, however. */
  async end(): Promise<void> {
    this.#closed = true;
    for (const { worker } of this.#places) worker?.kill('SIGKILL');
    await this.#keeping;
  }

  async #ask(worker: WorkerProcess): Promise<void> {
    await sleep(LISTENS_AFTER_MS);
    const askedAt = Date.now();
    worker.kill('SIGTERM');
    const exit = await worker.ended;
    // One that is killed while it ends in order is none of those.
    if (exit !== 'SIGKILL') this.orderlyEnds.push({ exit, tookMs: Date.now() - askedAt });
  }

  async #keep(place: Place, index: number): Promise<void> {
    const { variables, home } = this.#options;
    while (!this.#closed) {
      const worker = spawnWorker(variables, join(home, `worker-${index + 1}.log`));
      this.pids.push(worker.pid);
      place.worker = worker;
      place.pauseMs = null;
      const how = await worker.ended;
      place.worker = null;
      await this.#rest(place, `worker ${index + 1}: ${how}`);
    }
  }

  async #rest({ pauseMs }: Place, end: string): Promise<void> {
    if (this.#closed) return;
    if (pauseMs === null) this.crashes.push(end);
    await sleep(pauseMs ?? PAUSE_AFTER_CRASH_MS);
  }

  /** @throws Error when they do not stay up, so that nobody waits for ever */
  async #present(place: Place): Promise<WorkerProcess> {
    while (place.worker === null) {
      if (this.crashes.length >= MOST_CRASHES)
        throw new Error(`the workers do not stay up: ${this.crashes.join(', ')}`);
      await sleep(50);
    }
    return place.worker;
  }

  async #atWork(place: Place): Promise<WorkerProcess> {
    for (;;) {
      const worker = await this.#present(place);
      if ((await worker.atWork) && place.worker === worker) return worker;
      await sleep(50);
    }
  }
}
