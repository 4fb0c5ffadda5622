import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

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
  z.string().refine(
    (value) => {
      try {
        return protocols.includes(new URL(value).protocol);
      } catch {
        return false;
      }
    },
    `it is not a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  );

const port = z.coerce
  .number('it is not a port')
  .int('it is not a port')
  .min(1, 'it is not a port')
  .max(65_535, 'it is not a port');

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
    .transform((value) => value.split(/[\s,]+/).filter((part) => part !== ''))
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
    z
      .string()
      .min(16, 'it has fewer than 16 characters (make one: openssl rand -hex 32)')
      .regex(/^[\x21-\x7e]*$/, 'it has a character that is not printable ASCII, which an HTTP header does not carry'),
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
