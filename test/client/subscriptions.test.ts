import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NewSubscriptionInput } from '../../src/index.ts';
import { type Lane, LANES } from '../../src/domain/lane.ts';
import { DEAD_URL, deliverTo, sleepingDelivery, subscribe, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { startReceiver, verify } from '../support/receiver.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

const anyText = expect.any(String) as string;

describe('a subscription', () => {
  test('shows its secret once, and is kept sealed', async () => {
    const { forgeflow, database } = environment;
    const { name, secret } = await subscribe(forgeflow, DEAD_URL, { headers: { authorization: 'Bearer my-token' } });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await forgeflow.subscriptions.show(name)).toEqual({
      id: anyText,
      name,
      url: DEAD_URL,
      patterns: [name],
      lane: 'workflow',
      state: 'active',
      consecutiveFailures: 0,
      lastSuccessAt: null,
      lastFailureAt: null,
      lastError: null,
      trippedAt: null,
    });
    const row = await database.db.selectFrom('subscriptions').selectAll().where('name', '=', name).executeTakeFirst();
    const stored = Buffer.concat([row!.secret_sealed, row!.headers_sealed]).toString('latin1');
    expect(stored).not.toContain(Buffer.from(secret.slice('whsec_'.length), 'base64').toString('latin1'));
    expect(stored).not.toContain(secret);
    expect(stored).not.toContain('my-token');
  });

  test('is changed, and what waits goes to its new URL with its new headers', async () => {
    const { forgeflow } = environment;
    const { id, subscription } = await sleepingDelivery(forgeflow, { headers: { 'x-a': 'old' } });
    const receiver = await startReceiver();
    const change = { url: receiver.url, headers: { 'x-b': 'new' }, patterns: ['x', 'y', 'x'] };
    expect(await forgeflow.subscriptions.update(subscription.name, change)).toMatchObject({
      url: receiver.url,
      patterns: ['x', 'y'],
    });
    await forgeflow.deliveries.retry(id);
    const [request] = await receiver.waitForRequests(1);
    expect(request!.headers).toMatchObject({ 'x-b': 'new' });
    expect(request!.headers).not.toHaveProperty('x-a');
    await receiver.close();
  });

  test.each(LANES)('E14: is made in lane %s, shows it, and changes it whenever it likes', async (lane) => {
    const { subscriptions } = environment.forgeflow;
    const { name, url, patterns, ...added } = await subscribe(environment.forgeflow, DEAD_URL, { lane });
    expect(added.lane).toBe(lane);
    expect(await subscriptions.show(name)).toMatchObject({ lane });
    expect((await subscriptions.list()).find((one) => one.name === name)).toMatchObject({ lane });
    for (const next of LANES) {
      expect(await subscriptions.update(name, { lane: next })).toMatchObject({ lane: next, url, patterns });
      expect(await subscriptions.show(name)).toMatchObject({ lane: next });
    }
    expect(await subscriptions.update(name, { patterns: ['else'] })).toMatchObject({ lane: LANES.at(-1) });
    for (const method of ['pause', 'enable', 'rotateSecret'] as const)
      expect(await subscriptions[method](name)).toMatchObject({ lane: LANES.at(-1) });
  });

  test('D7 is pinged whatever its patterns are', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const { name, secret } = await subscribe(forgeflow, receiver.url, { patterns: ['something.else'] });
    const { eventId, deliveryId } = await forgeflow.subscriptions.ping(name);
    const delivery = await untilDelivery(forgeflow, deliveryId, ({ pending }) => !pending);
    expect(delivery).toMatchObject({ eventId, topic: 'ping', state: 'delivered', payload: { ping: true } });
    const [request] = receiver.requests;
    expect(request!.rawBody.toString()).toBe('{"ping": true}');
    expect(request!.headers['x-forgeflow-topic']).toBe('ping');
    expect(verify(request!, secret)).toEqual({ ping: true });
    await receiver.close();
  });

  test('E11: has a name of 1 to 64 characters, and is listed by it', async () => {
    const { subscriptions } = environment.forgeflow;
    const names = ['ž', 'z'.repeat(64)];
    for (const name of names) await subscriptions.add({ ...good, name });
    const listed = (await subscriptions.list()).map(({ name }) => name);
    for (const name of names) expect(listed).toContain(name);
    for (const name of names) await subscriptions.delete(name);
  });

  test('E11: is paused and enabled again, however often it is asked for', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    for (let i = 0; i < 2; i++) expect((await forgeflow.subscriptions.pause(name)).state).toBe('paused');
    for (let i = 0; i < 2; i++) expect((await forgeflow.subscriptions.enable(name)).state).toBe('active');
  });

  test('E11: is tested by one signed request, also when paused, and nothing is kept of it', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 202 });
    const { name, secret } = await subscribe(forgeflow, receiver.url, { headers: { 'x-token': 'mine' } });
    await forgeflow.subscriptions.pause(name);
    expect(await forgeflow.subscriptions.test(name)).toEqual({
      outcome: { statusCode: 202, connectionError: null, durationMs: expect.any(Number) as number },
      successful: true,
    });
    const [request] = receiver.requests;
    expect(verify(request!, secret)).toEqual({ ping: true });
    expect(request!.headers).toMatchObject({ 'x-forgeflow-topic': 'test.ping', 'x-token': 'mine' });
    expect(await forgeflow.deliveries.list({ subscription: name })).toEqual([]);

    await forgeflow.subscriptions.update(name, { url: DEAD_URL });
    expect(await forgeflow.subscriptions.test(name)).toMatchObject({
      outcome: { statusCode: null, connectionError: 'connection refused' },
      successful: false,
    });
    await receiver.close();
  });
});

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 1).toString('base64')}`;
const good = { name: 'bad one', url: 'https://example.com/hook', patterns: ['a'] };

describe('bad input', () => {
  test.each<[string, Partial<NewSubscriptionInput>, RegExp]>([
    ['another scheme', { url: 'ftp://example.com/' }, /^url: .*http/],
    ['credentials in the URL', { url: 'https://user:pass@example.com/' }, /^url: .*(credentials|user)/i],
    ['a private address', { url: 'http://10.1.2.3/' }, /^url: .*10\.1\.2\.3/],
    ['the metadata address', { url: 'http://169.254.169.254/latest' }, /^url: /],
    ['a private address in disguise', { url: 'http://[::ffff:10.1.2.3]/' }, /^url: /],
    ['no URL at all', { url: 'example.com' }, /^url: /],
    ['a secret that is too short', { secret: secretOf(23) }, /^secret: it is 23 bytes long/],
    ['a secret that is too long', { secret: secretOf(65) }, /^secret: it is 65 bytes long/],
    ['a secret that is not base64', { secret: 'whsec_my-very-own-secret-of-some-length' }, /^secret: it is not base64/],
    ['no pattern', { patterns: [] }, /^pattern: /],
    ['a bad pattern', { patterns: ['a', 'b.>.c'] }, /^pattern: .*b\.>\.c/],
    ['a header of ours', { headers: { 'Webhook-Id': 'x' } }, /^header: "Webhook-Id"/],
    ['a header with a line break', { headers: { 'x-a': 'my-token\r\nx-b: c' } }, /^header: /],
    ['an unknown lane', { lane: 'fast' as Lane }, /^lane: "fast" is not one of workflow, express, auto$/],
    ['an empty lane', { lane: '' as Lane }, /^lane: "" is not one of workflow, express, auto$/],
    ['no name', { name: '' }, /^name: /],
    ['a name with a quote', { name: "o'clock" }, /^name: /],
    ['a name that is too long', { name: 'x'.repeat(65) }, /^name: /],
  ])('%s is refused by name and leaves no trace', async (_what, bad, message) => {
    const { forgeflow } = environment;
    const before = await forgeflow.subscriptions.list();
    const error: unknown = await forgeflow.subscriptions.add({ ...good, ...bad }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: 'Refusal',
      kind: 'invalid',
      message: expect.stringMatching(message) as string,
    });
    for (const secret of ['my-very-own', 'my-token', 'pass']) expect((error as Error).message).not.toContain(secret);
    expect(await forgeflow.subscriptions.list()).toEqual(before);
  });

  test('E11: a name that is taken is refused, and the subscription that has it stays as it is', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    const before = await forgeflow.subscriptions.show(name);
    await expect(forgeflow.subscriptions.add({ ...good, name })).rejects.toMatchObject({
      kind: 'conflict',
      message: `name: there is already a subscription "${name}"`,
    });
    expect(await forgeflow.subscriptions.show(name)).toEqual(before);
  });

  test('E11: of several that are made with one name at the same time, one is made and the others are refused', async () => {
    const { subscriptions } = environment.forgeflow;
    const name = 'wanted by many';
    const made = await Promise.allSettled(Array.from({ length: 6 }, () => subscriptions.add({ ...good, name })));
    const refused = made.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused.length).toBe(5);
    for (const error of refused) expect(error).toMatchObject({ name: 'Refusal', kind: 'conflict' });
    expect((await subscriptions.list()).filter((one) => one.name === name).length).toBe(1);
  });

  test.each([{}, { url: undefined, patterns: undefined, headers: undefined, lane: undefined }])(
    'E11: an empty change, %j, is refused, and not passed over in silence',
    async (change) => {
      const { forgeflow, database } = environment;
      const { name } = await subscribe(forgeflow, DEAD_URL);
      const before = await database.db.selectFrom('subscriptions').selectAll().where('name', '=', name).execute();
      await expect(forgeflow.subscriptions.update(name, change)).rejects.toMatchObject({
        name: 'Refusal',
        kind: 'invalid',
        message: 'nothing to change: give a url, patterns, headers or a lane',
      });
      expect(await database.db.selectFrom('subscriptions').selectAll().where('name', '=', name).execute()).toEqual(
        before,
      );
      await expect(forgeflow.subscriptions.update('nobody', change)).rejects.toMatchObject({ kind: 'not_found' });
    },
  );

  test('E11: an empty list of patterns is no change either', async () => {
    const { subscriptions } = environment.forgeflow;
    const { name, patterns } = await subscribe(environment.forgeflow, DEAD_URL);
    await expect(subscriptions.update(name, { patterns: [] })).rejects.toMatchObject({
      kind: 'invalid',
      message: 'pattern: at least one is needed',
    });
    expect((await subscriptions.show(name)).patterns).toEqual(patterns);
  });

  test('E11: a bad change changes nothing', async () => {
    const { subscriptions } = environment.forgeflow;
    const { name } = await subscribe(environment.forgeflow, DEAD_URL);
    const before = await subscriptions.show(name);
    const bad = [{ url: 'http://10.0.0.1/' }, { patterns: [] }, { headers: { host: 'x' } }, { lane: 'fast' as Lane }];
    for (const change of bad) {
      await expect(subscriptions.update(name, { patterns: ['new'], ...change })).rejects.toMatchObject({
        kind: 'invalid',
      });
    }
    await expect(subscriptions.rotateSecret(name, 'whsec_short')).rejects.toThrow(/^secret: /);
    expect(await subscriptions.show(name)).toEqual(before);
  });

  test.each(['show', 'pause', 'enable', 'delete', 'rotateSecret', 'test', 'ping'] as const)(
    '%s of a subscription that is not there is refused',
    async (method) => {
      await expect(environment.forgeflow.subscriptions[method]('nobody')).rejects.toMatchObject({ kind: 'not_found' });
    },
  );
});

test('status() counts deliveries, subscriptions, workers and what waits for them', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver();
  const { id } = await deliverTo(forgeflow, receiver.url);
  await untilDelivery(forgeflow, id, ({ state }) => state === 'delivered');
  const { queues, deliveries, subscriptions } = await forgeflow.status();
  expect(queues!.map(({ queue, kind, workers }) => ({ queue, kind, workers }))).toEqual([
    { queue: 'forgeflow', kind: 'workflow', workers: 1 },
    { queue: 'forgeflow', kind: 'activity', workers: 1 },
    { queue: 'egress', kind: 'workflow', workers: 1 },
    { queue: 'egress', kind: 'activity', workers: 1 },
    { queue: 'gitlab', kind: 'activity', workers: 1 },
    { queue: 'git', kind: 'activity', workers: 1 },
    { queue: 'checks', kind: 'activity', workers: 1 },
  ]);
  for (const { backlog } of queues!) expect(backlog).toBe(0);
  const shown = await forgeflow.subscriptions.list();
  expect(subscriptions).toEqual({
    active: shown.filter(({ state }) => state === 'active').length,
    paused: shown.filter(({ state }) => state === 'paused').length,
    tripped: 0,
  });
  const all = await forgeflow.deliveries.list();
  expect(deliveries.delivered).toBe(all.filter(({ state }) => state === 'delivered').length);
  expect(deliveries.pending).toBe(all.filter(({ state }) => state === 'pending').length);
  await receiver.close();
});
