import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { isCron } from './domain/hook-cron.ts';
import { DEFAULT_HOOK_EVENTS, HOOK_EVENTS, type HookEvent } from './domain/hook-events.ts';

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

/** Every variable, with its default, and what it may be. */
export const settings = z.object({
  DATABASE_URL: optional(url(['postgres:', 'postgresql:'])),
  FORGEFLOW_HOME: z.preprocess(blankIsAbsent, z.string().default('.forgeflow')),
  STORAGE_DIR: optional(z.string()),
  GIT_CONCURRENCY: integer(1, 64, 2),
  GIT_SSL_CAINFO: optional(z.string()),
  CHECKS_CONCURRENCY: integer(1, 64, 2),
  CHECK_PLUGINS: optional(z.string()),
  CHECK_CONFINEMENT: z.preprocess(
    blankIsAbsent,
    z.enum(['auto', 'none'], 'it is not one of auto, none').default('auto'),
  ),
  CACHE: z.preprocess(
    blankIsAbsent,
    z.enum(['off', 'folder', 's3'], 'it is not one of off, folder, s3').default('off'),
  ),
  CACHE_QUOTA_BYTES: integer(0, Number.MAX_SAFE_INTEGER, 0),
  CACHE_S3_ENDPOINT: optional(serverUrl),
  CACHE_S3_BUCKET: optional(z.string()),
  CACHE_S3_PREFIX: optional(z.string()),
  CACHE_S3_REGION: optional(z.string()),
  CACHE_S3_ACCESS_KEY_ID: optional(z.string()),
  CACHE_S3_SECRET_ACCESS_KEY: optional(z.string()),
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
  EXPRESS_BACKLOG: integer(0, 1_000_000, 100),
  BREAKER_FAILURES: integer(1, 1000, 5),
  DELIVERY_RETENTION_DAYS: z.preprocess(
    blankIsAbsent,
    z.coerce.number('it is not a number').positive('it is not above 0').max(36_500, 'it is above 36500').default(30),
  ),
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
