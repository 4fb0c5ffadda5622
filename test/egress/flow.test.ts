import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Flow } from '../../src/egress/flow.ts';

test('nothing has passed', () => {
  expect(new Flow().perSecond).toBe(0);
});

test('what passes is told at once, per second, and for a while', async () => {
  const flow = new Flow();
  flow.pass(30);
  flow.pass(20);
  expect(flow.perSecond).toBe(500);
  await sleep(110);
  flow.pass(1);
  expect(flow.perSecond).toBe(500);
});

test('it is forgotten when nothing more has passed', async () => {
  const flow = new Flow();
  flow.pass(50);
  await sleep(250);
  expect(flow.perSecond).toBe(0);
  flow.pass(10);
  expect(flow.perSecond).toBe(100);
});
