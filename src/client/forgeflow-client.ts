import type { Client } from '@temporalio/client';
import type { PublishedEvent, Publication } from '../bus/outbox.ts';
import { Publisher } from '../bus/publisher.ts';
import { type Config, loadConfig, required } from '../config.ts';
import { openDatabase } from '../database/connection.ts';
import { createAddressGuard } from '../egress/address-guard.ts';
import type { InstallResult } from '../domain/install-run.ts';
import { createSealer } from '../secrets/sealer.ts';
import { LateClient } from '../temporal/connection.ts';
import { Commits } from './commits.ts';
import type { ClientContext } from './context.ts';
import { Coverage } from './coverage.ts';
import { Deliveries } from './deliveries.ts';
import { Repositories } from './repositories.ts';
import { readStatus, type SystemStatus } from './status.ts';
import { Gitlab, type InstallOptions } from './gitlab.ts';
import { type EnqueuedJob, Jobs } from './jobs.ts';
import { search, type SearchOptions, type SearchResults } from './search.ts';
import { Secrets } from './secrets.ts';
import { Subscriptions } from './subscriptions.ts';

/**
 * forgeflow from the outside: the same that the CLI uses.
 *
 * @example
 * const forgeflow = await ForgeflowClient.connect();
 * await forgeflow.subscriptions.add({ name: 'ci', url: 'https://ci.example.com/hook', patterns: ['gitlab.push'] });
 * const { eventId } = await forgeflow.publish({ topic: 'gitlab.push', data: { ref: 'refs/heads/main' } });
 * await forgeflow.close();
 */
export class ForgeflowClient {
  readonly subscriptions: Subscriptions;
  readonly deliveries: Deliveries;
  readonly gitlab: Gitlab;
  readonly repositories: Repositories;
  readonly commits: Commits;
  readonly jobs: Jobs;
  readonly coverage: Coverage;
  readonly secrets: Secrets;
  readonly #context: ClientContext;
  readonly #publisher: Publisher;
  readonly #temporal: LateClient;

  private constructor(parts: Omit<ClientContext, 'temporal'>, temporal: LateClient) {
    const context: ClientContext = {
      ...parts,
      get temporal() {
        return temporal.client;
      },
    };
    this.#context = context;
    this.#publisher = new Publisher(context.db);
    this.#temporal = temporal;
    this.subscriptions = new Subscriptions(context);
    this.deliveries = new Deliveries(context);
    this.gitlab = new Gitlab(context);
    this.repositories = new Repositories(context);
    this.commits = new Commits(context);
    this.jobs = new Jobs(context);
    this.coverage = new Coverage(context);
    this.secrets = new Secrets(context);
  }

  /**
   * @param config the settings, read from the environment when left out
   * @throws ConfigError that names the setting that is missing or wrong
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- part of the published interface
  static async connect(config: Config = loadConfig()): Promise<ForgeflowClient> {
    const databaseUrl = required(
      'DATABASE_URL',
      config.databaseUrl,
      'it is not set; start everything here with "forgeflow dev", or set it',
    );
    const secretsKey = required(
      'SECRETS_KEY',
      config.secretsKey,
      'it is not set; it must be the key that the workers have',
    );
    const temporal = new LateClient(config);
    const guard = createAddressGuard(config.deliveryAllowedNetworks);
    const sealer = createSealer(secretsKey);
    return new ForgeflowClient({ config, db: openDatabase(databaseUrl), sealer, guard }, temporal);
  }

  /** The Temporal client, for whatever is not here. */
  get temporal(): Client {
    return this.#context.temporal;
  }

  /** Stores an event, for the workers to deliver. @throws Refusal for bad input; nothing is stored then */
  async publish(publication: Publication): Promise<PublishedEvent> {
    return this.#publisher.publish(publication);
  }

  /** Submits a job; see {@link Jobs.enqueue}. */
  async enqueue(kind: string, payload?: unknown, dedupeKey?: string): Promise<EnqueuedJob> {
    return this.jobs.enqueue(kind, payload, dedupeKey);
  }

  /** Brings all webhooks in GitLab into place, or that of one repository; see {@link Gitlab.install}. */
  async installWebhooks(options: InstallOptions = {}): Promise<InstallResult> {
    return this.gitlab.install(options);
  }

  /**
   * Finds code: files of tracked repositories that have all terms, in their path or in their content.
   * @param terms parted by white space; "in quotes" where they have some; upper and lower case are the same
   * @throws Refusal of bad terms or a bad limit; `not_found` for a repository that is not tracked
   */
  async search(terms: string, options: SearchOptions = {}): Promise<SearchResults> {
    return search(this.#context, terms, options);
  }

  async status(): Promise<SystemStatus> {
    return readStatus(this.#context);
  }

  async close(): Promise<void> {
    await this.#context.db.destroy();
    await this.#temporal.close();
  }
}
