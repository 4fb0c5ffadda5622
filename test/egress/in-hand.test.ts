import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { InHand } from '../../src/egress/in-hand.ts';

test('E14: what is in hand is what was taken and has not left', () => {
  const inHand = new InHand();
  expect([inHand.count, inHand.longerThan(0)]).toEqual([0, 0]);
  inHand.take(5);
  inHand.take(0);
  inHand.take(3);
  inHand.leave(6);
  expect(inHand.count).toBe(2);
});

test('E14 E12: those that have been in hand for long are told from those that came just now', async () => {
  const inHand = new InHand();
  inHand.take(5);
  await sleep(60);
  inHand.take(3);
  expect([inHand.longerThan(50), inHand.longerThan(5_000)]).toEqual([5, 0]);
  inHand.leave(2);
  expect(inHand.longerThan(50)).toBe(3);
  await sleep(60);
  expect(inHand.longerThan(50)).toBe(6);
  inHand.leave(6);
  expect([inHand.count, inHand.longerThan(50)]).toEqual([0, 0]);
});

test('E14 E12: one that stays is found among many that come and go', async () => {
  const inHand = new InHand();
  inHand.take(1); // it stays
  for (let n = 0; n < 30; n += 1) {
    inHand.take(10);
    await sleep(5);
    inHand.leave(10);
  }
  await sleep(60);
  expect([inHand.count, inHand.longerThan(50)]).toEqual([1, 1]);
});
