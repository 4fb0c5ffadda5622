import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { isCron } from './domain/hook-cron.ts';
import { DEFAULT_HOOK_EVENTS, HOOK_EVENTS, type HookEvent } from './domain/hook-events.ts';

/** A setting is missing or wrong. The message begins with the variable's name and never repeats a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly variable: string;

  constructor(variable: string, problem: string) {
    super(`${variable}: ${problem}`);
    this.variable = variable;
  }
}

const blankIsAbsent = (value: unknown): unknown => (value === '' ? undefined : value);
const optional = <T extends z.ZodType>(type: T) => z.preprocess(blankIsAbsent, type.optional());
const wholeNumber = (least: number, most: number) =>
  z.coerce
    .number('it is not a number')
    .int('it is not a whole number')
    .min(least, `it is below ${least}`)
    .max(most, `it is above ${most}`);
const integer = (least: number, most: number, fallback: number) =>
  z.preprocess(blankIsAbsent, wholeNumber(least, most).default(fallback));
const url = (protocols: string[]) =>
  z.string().refine((value) => protocols.includes(parseUrl(value).protocol), {
    error: `it is not a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    abort: true,
  });

/** The address of a server, with a path at most; without the slash at its end. */
const serverUrl = url(['http:', 'https:'])
  .refine((value) => {
    const { username, password } = parseUrl(value);
    return username === '' && password === '';
  }, 'it has a user name or password in it')
  .refine((value) => !/[?#]/.test(value), 'it has more than a path at its end')
  .transform((value) => value.replace(/\/+$/, ''));

/** What an HTTP header carries as it is. */
const headerValue = (text: z.ZodString) =>
  text.regex(/^[\x21-\x7e]*$/, 'it has a character that is not printable ASCII, which an HTTP header does not carry');

const list = (text: string): string[] => text.split(/[\s,]+/).filter((part) => part !== '');
const isHookEvent = (text: string): text is HookEvent => HOOK_EVENTS.some((event) => event === text);

const port = z.coerce
  .number('it is not a port')
  .int('it is not a port')
  .min(1, 'it is not a port')
  .max(65_535, 'it is not a port');

/** Parts that are all empty for what is no URL. */
function parseUrl(text: string): Pick<URL, 'protocol' | 'username' | 'password'> {
  try {
    return new URL(text);
  } catch {
    return { protocol: '', username: '', password: '' };
  }
}

/** Stricter than ipaddr.js, which takes `10` for 0.0.0.10 and `10/8` for the network around that. */
function isNetwork(text: string): boolean {
  const [address = ''] = text.split('/');
  return isIP(address) !== 0 && (text === address || ipaddr.isValidCIDR(text));
}

const settings = z.object({
  DATABASE_URL: optional(url(['postgres:', 'postgresql:'])),
  FORGEFLOW_HOME: z.preprocess(blankIsAbsent, z.string().default('.forgeflow')),
  SECRETS_KEY: optional(
    z
      .string()
      .refine(
        (value) => Buffer.from(value, 'base64').length === 32,
        'it is not the base64 of 32 bytes (make one: openssl rand -base64 32)',
      ),
  ),
  EGRESS_CONCURRENCY: integer(1, 1000, 10),
  EGRESS_CONCURRENCY_PER_SUBSCRIPTION: optional(wholeNumber(1, 1000)),
  BREAKER_FAILURES: integer(1, 1000, 5),
  // An attempt must end, and be written down, within the two minutes that Temporal gives the activity.
  DELIVERY_TIMEOUT_MS: integer(100, 60_000, 10_000),
  DELIVERY_ALLOWED_NETWORKS: z
    .string()
    .default('')
    .transform(list)
    .refine((parts) => parts.every(isNetwork), 'it is not a list of networks such as 10.1.0.0/16,192.0.2.7'),
  DELIVERY_PROXY: optional(url(['http:', 'https:'])),
  LOG_LEVEL: z.preprocess(
    blankIsAbsent,
    z
      .enum(['trace', 'debug', 'info', 'warn', 'error'], 'it is not one of trace, debug, info, warn, error')
      .default('info'),
  ),
  METRICS_PORT: optional(port),
  INGRESS_PORT: z.preprocess(blankIsAbsent, port.default(8088)),
  INGRESS_TOKEN: optional(
    headerValue(z.string().min(16, 'it has fewer than 16 characters (make one: openssl rand -hex 32)')),
  ),
  INGRESS_URL: optional(serverUrl),
  GITLAB_URL: optional(serverUrl),
  GITLAB_TOKEN: optional(headerValue(z.string())),
  GITLAB_GROUP: optional(
    z
      .string()
      .transform((value) => value.replace(/^\/+|\/+$/g, ''))
      .refine(
        (value) => /^[^\s/?#]+(\/[^\s/?#]+)*$/.test(value),
        'it is not the path of a group (acme/backend), nor its id',
      ),
  ),
  GITLAB_HOOK_EVENTS: z.preprocess(
    blankIsAbsent,
    z
      .string()
      .transform(list)
      .refine(
        (events) => events.length > 0 && events.every(isHookEvent),
        `it is not a list of ${HOOK_EVENTS.join(', ')}`,
      )
      .transform((events) => HOOK_EVENTS.filter((event) => events.includes(event)))
      .default([...DEFAULT_HOOK_EVENTS]),
  ),
  GITLAB_RATE_LIMIT_RESERVE: integer(0, 1_000_000, 50),
  GITLAB_VERIFY_HOURS: z.preprocess(
    blankIsAbsent,
    z.coerce.number('it is not a number').positive('it is not above 0').max(8_760, 'it is above 8760').default(24),
  ),
  GITLAB_CONCURRENCY: integer(1, 50, 4),
  GITLAB_INSTALL_CRON: z.preprocess(
    blankIsAbsent,
    z
      .string()
      .refine(isCron, 'it is not a cron expression of five fields, such as */10 * * * *')
      .default('*/10 * * * *'),
  ),
});

/** What `forgeflow dev` leaves in its home while it runs, so that other commands find it without settings. */
const running = z.object({
  pid: z.number(),
  databaseUrl: z.string(),
  temporalAddress: z.string(),
  webUiUrl: z.string().nullable(),
  secretsKey: z.string(),
  ingressUrl: z.string(),
  ingressToken: z.string(),
});
export type RunningServices = z.infer<typeof running>;

export interface Config {
  readonly databaseUrl: string | undefined;
  /** The `TEMPORAL_*` variables as found, for `@temporalio/envconfig`, which owns their meaning. */
  readonly temporalEnv: Readonly<Record<string, string>>;
  /** The Web UI of a running `forgeflow dev`, where that is what the other settings point to. */
  readonly webUiUrl: string | undefined;
  /** Where `forgeflow dev` keeps its data; an absolute path. */
  readonly home: string;
  /** Base64 of the 32 bytes that seal secrets in Postgres. */
  readonly secretsKey: string | undefined;
  readonly egressConcurrency: number;
  /** How many of them may go to one subscription. */
  readonly egressConcurrencyPerSubscription: number;
  /** Failures in a row that trip a subscription's circuit breaker. */
  readonly breakerFailures: number;
  readonly deliveryTimeoutMs: number;
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
    secretsKey: set.SECRETS_KEY ?? (set.DATABASE_URL === undefined ? dev?.secretsKey : undefined),
    egressConcurrency: set.EGRESS_CONCURRENCY,
    egressConcurrencyPerSubscription: set.EGRESS_CONCURRENCY_PER_SUBSCRIPTION ?? Math.ceil(set.EGRESS_CONCURRENCY / 4),
    breakerFailures: set.BREAKER_FAILURES,
    deliveryTimeoutMs: set.DELIVERY_TIMEOUT_MS,
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

/** @throws ConfigError when the setting is absent */
export function required<T>(variable: string, value: T | undefined, hint = 'it is not set'): T {
  if (value === undefined) throw new ConfigError(variable, hint);
  return value;
}

export function runningServicesFile(home: string): string {
  return resolve(home, 'running.json');
}

/** The services of a `forgeflow dev` that is alive, or undefined. */
export function readRunningServices(home: string): RunningServices | undefined {
  const file = runningServicesFile(home);
  if (!existsSync(file)) return undefined;
  const parsed = running.safeParse(parseJson(readFileSync(file, 'utf8')));
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined;
}

/** Undefined for what is not JSON: a half-written file means nothing, and a SyntaxError would quote the key in it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function readDotenv(directory: string): Record<string, string> {
  const file = resolve(directory, '.env');
  return existsSync(file) ? parseDotenv(readFileSync(file)) : {};
}

function definedOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
