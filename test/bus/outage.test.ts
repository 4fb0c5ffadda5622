import { expect, test } from 'vitest';
import { Outage } from '../../src/bus/outage.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const IDLE = 'the bus is idle until Postgres and Temporal answer again';
const AGAIN = 'the bus is at work again';
const refused = new Error('connect ECONNREFUSED 127.0.0.1:5432');

test('E8: however many notice it and however often, it is one warning, and its end is said once when all are well', () => {
  const { logger, messages, lines } = recordingLogger();
  const outage = new Outage(logger);
  outage.begins('listening', refused);
  for (let i = 0; i < 50; i++) {
    outage.begins('dispatching events', refused);
    outage.begins('listening', refused);
  }
  expect(messages('WARN', 'ERROR', 'INFO')).toEqual([IDLE]);
  expect(lines[0]!.meta).toEqual({ noticedBy: 'listening', problem: refused.message });
  outage.ends('listening');
  outage.ends('listening');
  expect(messages('INFO')).toEqual([]);
  outage.ends('dispatching events');
  expect(messages('WARN', 'ERROR', 'INFO')).toEqual([IDLE, AGAIN]);
  for (const one of ['listening', 'dispatching events']) outage.ends(one);
  expect(messages('INFO')).toEqual([AGAIN]);
});

test('E8: the next outage is said again', () => {
  const { logger, messages } = recordingLogger();
  const outage = new Outage(logger);
  for (let i = 0; i < 2; i++) {
    outage.begins('listening', refused);
    outage.ends('listening');
  }
  expect(messages('WARN', 'INFO')).toEqual([IDLE, AGAIN, IDLE, AGAIN]);
});

test('while nothing is wrong, nothing is said', () => {
  const { logger, lines } = recordingLogger();
  new Outage(logger).ends('listening');
  expect(lines).toEqual([]);
});

test.each<[string, unknown, string]>([
  ['an error', refused, refused.message],
  ['an error with a cause', new Error('unavailable', { cause: refused }), `unavailable: ${refused.message}`],
  ['an error without a message', new AggregateError([]), 'AggregateError'],
  ['what is no error', { password: 'of the database' }, 'unknown fault'],
  ['an error that carries more', Object.assign(new Error('no'), { url: 'postgres://me:password@host' }), 'no'],
])('E8: %s is told by its message alone', (_what, error, problem) => {
  const { logger, lines } = recordingLogger();
  new Outage(logger).begins('listening', error);
  expect(lines[0]!.meta).toEqual({ noticedBy: 'listening', problem });
  expect(JSON.stringify(lines)).not.toContain('password');
});
