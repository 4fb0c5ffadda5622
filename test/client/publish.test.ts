import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Publication } from '../../src/index.ts';
import { subscribe, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const MEBIBYTE = 1024 * 1024;

let environment: Environment;
let receiver: Receiver;
beforeAll(async () => {
  [environment, receiver] = await Promise.all([startEnvironment(), startReceiver()]);
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

const countEvents = async () => (await environment.database.db.selectFrom('events').select('id').execute()).length;

describe('publishing', () => {
  test('makes one delivery for each subscription with a pattern that matches', async () => {
    const { forgeflow } = environment;
    const subscribers: Record<string, string[]> = {
      exact: ['gitlab.push'],
      star: ['gitlab.*'],
      rest: ['gitlab.>'],
      twice: ['gitlab.push', '*.push', '>'],
      other: ['github.push', 'gitlab.push.more', '*'],
    };
    const names = new Map<string, string>();
    for (const [kind, patterns] of Object.entries(subscribers)) {
      names.set((await subscribe(forgeflow, receiver.url, { patterns })).name, kind);
    }
    const reached = async (topic: string): Promise<string[]> => {
      const { eventId } = await forgeflow.publish({ topic, data: {} });
      const deliveries = (await forgeflow.deliveries.list({ topic })).filter((one) => one.eventId === eventId);
      return deliveries.map(({ subscription }) => names.get(subscription)!).sort();
    };
    expect(await reached('gitlab.push')).toEqual(['exact', 'rest', 'star', 'twice']);
    expect(await reached('gitlab.push.more')).toEqual(['other', 'rest', 'twice']);
    expect(await reached('alone')).toEqual(['other', 'twice']);
    for (const name of names.keys()) await forgeflow.subscriptions.delete(name);
    expect(await reached('gitlab.push')).toEqual([]);
  });

  test('an event again under its id stores and sends nothing twice', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, receiver.url);
    const id = randomUUID();
    const publish = (spelling: string) => forgeflow.publish({ topic: name, data: 1, id: spelling });
    expect(await publish(id)).toEqual({ eventId: id, duplicate: false });
    expect(await publish(id.toUpperCase())).toEqual({ eventId: id, duplicate: true });
    const again = await Promise.all([publish(id), publish(id), publish(id)]);
    expect(again.map(({ duplicate }) => duplicate)).toEqual([true, true, true]);
    const deliveries = await forgeflow.deliveries.list({ subscription: name });
    expect(deliveries.length).toBe(1);
    await untilDelivery(forgeflow, deliveries[0]!.id, ({ state }) => state === 'delivered');
    expect(receiver.requests.filter(({ headers }) => headers['webhook-id'] === deliveries[0]!.id).length).toBe(1);
  });

  test('an event again starts what whoever published it first did not come to start', async () => {
    const { forgeflow, database } = environment;
    const { name, id: subscription } = await subscribe(forgeflow, receiver.url);
    const [event, delivery] = [randomUUID(), randomUUID()];
    await database.db.insertInto('events').values({ id: event, topic: name, payload: '1' }).execute();
    await database.db
      .insertInto('deliveries')
      .values({ id: delivery, subscription_id: subscription, event_id: event, date_created: new Date() })
      .execute();
    expect(await forgeflow.publish({ topic: name, data: 1, id: event })).toMatchObject({ duplicate: true });
    await untilDelivery(forgeflow, delivery, ({ state }) => state === 'delivered');
  });

  test('D13 a payload of exactly 1 MiB goes through, whole', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, receiver.url);
    const json = JSON.stringify('x'.repeat(MEBIBYTE - 2));
    await forgeflow.publish({ topic: name, data: json, json: true });
    const [delivery] = await forgeflow.deliveries.list({ subscription: name });
    await untilDelivery(forgeflow, delivery!.id, ({ state }) => state === 'delivered');
    const request = receiver.requests.find(({ headers }) => headers['webhook-id'] === delivery!.id);
    expect(request!.rawBody.toString()).toBe(json);
  });
});

const good = { topic: 'a.b', data: {} };
const circular: Record<string, unknown> = {};
circular['self'] = circular;

test.each<[string, Publication, string | RegExp]>([
  ['a payload over 1 MiB', { ...good, data: 'x'.repeat(MEBIBYTE) }, /^data: it is 1048578 bytes long; .*1 MiB/],
  [
    'a payload over 1 MiB in bytes, not in characters',
    { ...good, data: JSON.stringify('ü'.repeat(MEBIBYTE / 2)), json: true },
    /^data: it is 1048578 bytes/,
  ],
  ['text that is not JSON', { ...good, data: '{"a":', json: true }, /^data: it is not JSON/],
  ['no text at all', { ...good, data: '', json: true }, /^data: it is not JSON/],
  ['JSON text that is no string', { ...good, data: 5, json: true }, /^data: it cannot be written as JSON/],
  ['a value that JSON does not know', { ...good, data: undefined }, /^data: it cannot be written as JSON/],
  ['a function', { ...good, data: () => 1 }, /^data: it cannot be written as JSON/],
  ['a value that contains itself', { ...good, data: circular }, /^data: it cannot be written as JSON/],
  ['a big number', { ...good, data: { n: 1n } }, /^data: it cannot be written as JSON/],
  ['an empty topic', { ...good, topic: '' }, /^topic: /],
  ['an empty token', { ...good, topic: 'a..b' }, /^topic: /],
  ['a wildcard in the topic', { ...good, topic: 'a.*' }, /^topic: .*wildcard/],
  ['a topic that is too long', { ...good, topic: 'x'.repeat(256) }, /^topic: /],
  ['an id that is no UUID', { ...good, id: '42' }, /^id: "42" is not a UUID/],
])('%s is refused, and nothing is stored', async (_what, publication, message) => {
  const { forgeflow } = environment;
  const before = await countEvents();
  const error: unknown = await forgeflow.publish(publication).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'Refusal', message: expect.stringMatching(message) as string });
  expect(await countEvents()).toBe(before);
});
