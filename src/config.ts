import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import type { z } from 'zod';
import type { HookEvent } from './domain/hook-events.ts';
import { readRunningServices } from './running-services.ts';
import { settings } from './settings.ts';

/** A setting is missing or wrong. The message begins with the variable's name and never repeats a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly variable: string;

  constructor(variable: string, problem: string) {
    super(`${variable}: ${problem}`);
    this.variable = variable;
  }
}

export interface Config {
  readonly databaseUrl: string | undefined;
  /** The `TEMPORAL_*` variables as found, for `@temporalio/envconfig`, which owns their meaning. */
  readonly temporalEnv: Readonly<Record<string, string>>;
  /** The Web UI of a running `forgeflow dev`, where that is what the other settings point to. */
  readonly webUiUrl: string | undefined;
  /** Where `forgeflow dev` keeps its data; an absolute path. */
  readonly home: string;
  /** Where settings are read from besides the environment, whether it is there or not; an absolute path. */
  readonly dotenvFile: string;
  /** Where clones are kept; an absolute path. */
  readonly storageDirectory: string;
  /** Jobs with a clone that a worker has in hand at once. */
  readonly gitConcurrency: number;
  /** Checks that a worker runs at once. */
  readonly checksConcurrency: number;
  /** The file that says which plugins there are; an absolute path. */
  readonly checkPluginsFile: string | undefined;
  /** `none`: plugins are run without namespaces of their own, even where the system would give them. */
  readonly checkConfinement: 'auto' | 'none';
  /** Where cached artefacts of repositories are kept. */
  readonly cache: CacheConfig;
  /** What a repository may keep there; 0: without limit. */
  readonly cacheQuotaBytes: number;
  /** Certificates that git trusts, where those of the system will not do. */
  readonly gitCaFile: string | undefined;
  /** Where programs are found. */
  readonly programPath: string | undefined;
  /** Base64 of the 32 bytes that seal secrets in Postgres. */
  readonly secretsKey: string | undefined;
  readonly egressConcurrency: number;
  /** How many of them may go to one subscription. */
  readonly egressConcurrencyPerSubscription: number;
  /** Subscriptions in lane `auto` go express while more of their deliveries wait than this. */
  readonly expressBacklog: number;
  /** Failures in a row that trip a subscription's circuit breaker. */
  readonly breakerFailures: number;
  readonly deliveryTimeoutMs: number;
  /** What is over is kept for so many days, of 24 hours. */
  readonly deliveryRetentionDays: number;
  /** Networks (CIDR) or single addresses that deliveries may reach although they are not public. */
  readonly deliveryAllowedNetworks: readonly string[];
  readonly deliveryProxy: string | undefined;
  readonly logLevel: string;
  readonly metricsPort: number | undefined;
  readonly ingressPort: number;
  /** What whoever publishes through the ingress has to know. */
  readonly ingressToken: string | undefined;
  /** As GitLab reaches the ingress; like the next one without a slash at its end. */
  readonly ingressUrl: string | undefined;
  readonly gitlabUrl: string | undefined;
  readonly gitlabToken: string | undefined;
  /** Path or id of the group whose repositories are ours; undefined: all that the token's account maintains. */
  readonly gitlabGroup: string | undefined;
  /** What the webhooks are to tell of. */
  readonly gitlabHookEvents: readonly HookEvent[];
  /** So many requests of GitLab's rate limit are left to others. */
  readonly gitlabRateLimitReserve: number;
  /** How long an installed webhook is taken to be as it should. */
  readonly gitlabVerifyMs: number;
  /** Repositories that are worked on at once. */
  readonly gitlabConcurrency: number;
  /** When the installer runs. */
  readonly gitlabInstallCron: string;
}

export type CacheConfig =
  | { readonly kind: 'off' }
  | { readonly kind: 'folder' }
  | {
      readonly kind: 's3';
      readonly endpoint: string;
      readonly bucket: string;
      readonly prefix: string;
      readonly region: string;
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
    };

/**
 * Reads the settings from the environment, then `.env` in `directory`, then a running `forgeflow dev`; the first that has a variable wins.
 * @throws ConfigError that names the variable
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env, directory = process.cwd()): Config {
  const env = { ...readDotenv(directory), ...definedOf(environment) };
  const result = settings.safeParse(env);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new ConfigError(String(issue?.path[0]), issue?.message ?? 'it is wrong');
  }
  const set = result.data;
  const home = resolve(directory, set.FORGEFLOW_HOME);
  const dev = readRunningServices(home);
  const temporalEnv = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name.startsWith('TEMPORAL_') && value !== ''),
  );
  const usesDevTemporal = dev !== undefined && !temporalEnv['TEMPORAL_ADDRESS'] && !temporalEnv['TEMPORAL_PROFILE'];
  return Object.freeze({
    databaseUrl: set.DATABASE_URL ?? dev?.databaseUrl,
    temporalEnv: usesDevTemporal ? { ...temporalEnv, TEMPORAL_ADDRESS: dev.temporalAddress } : temporalEnv,
    webUiUrl: usesDevTemporal ? (dev.webUiUrl ?? undefined) : undefined,
    home,
    dotenvFile: resolve(directory, DOTENV),
    storageDirectory: resolve(directory, set.STORAGE_DIR ?? join(home, 'storage')),
    gitConcurrency: set.GIT_CONCURRENCY,
    gitCaFile: set.GIT_SSL_CAINFO,
    checksConcurrency: set.CHECKS_CONCURRENCY,
    checkPluginsFile: set.CHECK_PLUGINS === undefined ? undefined : resolve(directory, set.CHECK_PLUGINS),
    checkConfinement: set.CHECK_CONFINEMENT,
    cache: cacheOf(set),
    cacheQuotaBytes: set.CACHE_QUOTA_BYTES,
    programPath: env['PATH'],
    secretsKey: set.SECRETS_KEY ?? (set.DATABASE_URL === undefined ? dev?.secretsKey : undefined),
    egressConcurrency: set.EGRESS_CONCURRENCY,
    egressConcurrencyPerSubscription: set.EGRESS_CONCURRENCY_PER_SUBSCRIPTION ?? Math.ceil(set.EGRESS_CONCURRENCY / 4),
    expressBacklog: set.EXPRESS_BACKLOG,
    breakerFailures: set.BREAKER_FAILURES,
    deliveryTimeoutMs: set.DELIVERY_TIMEOUT_MS,
    deliveryRetentionDays: set.DELIVERY_RETENTION_DAYS,
    deliveryAllowedNetworks: set.DELIVERY_ALLOWED_NETWORKS,
    deliveryProxy: set.DELIVERY_PROXY,
    logLevel: set.LOG_LEVEL,
    metricsPort: set.METRICS_PORT,
    ingressPort: set.INGRESS_PORT,
    ingressToken: set.INGRESS_TOKEN ?? (set.DATABASE_URL === undefined ? dev?.ingressToken : undefined),
    ingressUrl: set.INGRESS_URL ?? (set.DATABASE_URL === undefined ? dev?.ingressUrl : undefined),
    gitlabUrl: set.GITLAB_URL,
    gitlabToken: set.GITLAB_TOKEN,
    gitlabGroup: set.GITLAB_GROUP,
    gitlabHookEvents: set.GITLAB_HOOK_EVENTS,
    gitlabRateLimitReserve: set.GITLAB_RATE_LIMIT_RESERVE,
    gitlabVerifyMs: Math.round(set.GITLAB_VERIFY_HOURS * 3_600_000),
    gitlabConcurrency: set.GITLAB_CONCURRENCY,
    gitlabInstallCron: set.GITLAB_INSTALL_CRON,
  });
}

/** @throws ConfigError for what S3 needs and is not set */
function cacheOf(set: z.infer<typeof settings>): CacheConfig {
  if (set.CACHE !== 's3') return { kind: set.CACHE };
  const hint = 'it is not set, and CACHE is s3';
  return {
    kind: 's3',
    endpoint: required('CACHE_S3_ENDPOINT', set.CACHE_S3_ENDPOINT, hint),
    bucket: required('CACHE_S3_BUCKET', set.CACHE_S3_BUCKET, hint),
    prefix: set.CACHE_S3_PREFIX ?? '',
    region: set.CACHE_S3_REGION ?? 'us-east-1',
    accessKeyId: required('CACHE_S3_ACCESS_KEY_ID', set.CACHE_S3_ACCESS_KEY_ID, hint),
    secretAccessKey: required('CACHE_S3_SECRET_ACCESS_KEY', set.CACHE_S3_SECRET_ACCESS_KEY, hint),
  };
}

/** @throws ConfigError when the setting is absent */
export function required<T>(variable: string, value: T | undefined, hint = 'it is not set'): T {
  if (value === undefined) throw new ConfigError(variable, hint);
  return value;
}

const DOTENV = '.env';

function readDotenv(directory: string): Record<string, string> {
  const file = resolve(directory, DOTENV);
  return existsSync(file) ? parseDotenv(readFileSync(file)) : {};
}

function definedOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
