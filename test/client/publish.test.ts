import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deliveryOf, subscribe, untilDelivery, untilDispatched } from '../support/deliveries.ts';
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

describe('publishing', () => {
  test('E3 makes one delivery for each subscription with a pattern that matches', async () => {
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
      await untilDispatched(environment.database, eventId);
      const deliveries = (await forgeflow.deliveries.list({ topic })).filter((one) => one.eventId === eventId);
      return deliveries.map(({ subscription }) => names.get(subscription)!).sort();
    };
    expect(await reached('gitlab.push')).toEqual(['exact', 'rest', 'star', 'twice']);
    expect(await reached('gitlab.push.more')).toEqual(['other', 'rest', 'twice']);
    expect(await reached('alone')).toEqual(['other', 'twice']);
    for (const name of names.keys()) await forgeflow.subscriptions.delete(name);
    expect(await reached('gitlab.push')).toEqual([]);
  });

  test('E2 an event again under its id stores and sends nothing twice', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, receiver.url);
    const id = randomUUID();
    const publish = (spelling: string) => forgeflow.publish({ topic: name, data: 1, id: spelling });
    expect(await publish(id)).toEqual({ eventId: id, duplicate: false });
    expect(await publish(id.toUpperCase())).toEqual({ eventId: id, duplicate: true });
    const again = await Promise.all([publish(id), publish(id), publish(id)]);
    expect(again.map(({ duplicate }) => duplicate)).toEqual([true, true, true]);
    const { id: deliveryId } = await deliveryOf(forgeflow, id, name);
    await untilDelivery(forgeflow, deliveryId, ({ state }) => state === 'delivered');
    expect((await forgeflow.deliveries.list({ subscription: name })).length).toBe(1);
    expect(receiver.requests.filter(({ headers }) => headers['webhook-id'] === deliveryId).length).toBe(1);
  });

  test('D13 a payload of exactly 1 MiB goes through, whole', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, receiver.url);
    const json = JSON.stringify('x'.repeat(MEBIBYTE - 2));
    const { eventId } = await forgeflow.publish({ topic: name, data: json, json: true });
    const delivery = await deliveryOf(forgeflow, eventId, name);
    await untilDelivery(forgeflow, delivery.id, ({ state }) => state === 'delivered');
    const request = receiver.requests.find(({ headers }) => headers['webhook-id'] === delivery.id);
    expect(request!.rawBody.toString()).toBe(json);
  });
});
