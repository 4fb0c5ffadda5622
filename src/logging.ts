import { DefaultLogger, type Logger } from '@temporalio/worker';
import { pino } from 'pino';
import { PinoPretty } from 'pino-pretty';

export type { Logger } from '@temporalio/worker';

/** Logs to stderr, stdout being for results: JSON lines, or coloured text where a person looks on. */
export function createLogger(level: string): Logger {
  // Synchronous: what was said just before a crash must be there afterwards.
  const destination = process.stderr.isTTY
    ? PinoPretty({ destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true })
    : pino.destination({ dest: 2, sync: true });
  const log = pino({ level, redact: { paths: SECRETS, censor: '[secret]' } }, destination);
  const known = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  return new DefaultLogger('TRACE', ({ level: of, message, meta = {} }) => {
    log[quieter(of, message, meta) ? 'debug' : known[of]](meta, message);
  });
}

/**
 * The SDK tells at length how its workers come up, warns of an egress worker that it has no workflows, as is meant, and of
 * each call that it tries again while Temporal is away, which the bus says once.
 */
function quieter(level: string, message: string, meta: object): boolean {
  if ('target' in meta && meta.target === 'temporalio_client::retry') return true;
  if (!('sdkComponent' in meta) || meta.sdkComponent !== 'worker') return false;
  return level === 'INFO' || message.startsWith('No workflows registered');
}

// Nothing of ours logs these; should one ever slip into a log line, it is blanked.
const SECRETS = [
  'secret',
  'token',
  'password',
  'apiKey',
  'authorization',
  'databaseUrl',
  'secretsKey',
  'headers',
].flatMap((name) => [name, `*.${name}`]);
