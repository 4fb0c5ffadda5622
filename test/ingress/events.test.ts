import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  countEvents,
  eventIdOf,
  post,
  postEvent,
  startTestIngress,
  storedEvents,
  type TestIngress,
} from './ingress.ts';

let ingress: TestIngress;

beforeAll(async () => {
  ingress = await startTestIngress();
});
afterAll(() => ingress.stop());
beforeEach(async () => {
  await ingress.database.db.deleteFrom('events').execute();
});

describe('E13: what applications publish', () => {
  test.each([
    ['an object', '{"n": 1}'],
    ['numbers that no double holds', '{"big":12345678901234567890123, "exact":0.10000000000000000001, "e":1.50E+400}'],
    ['names that JavaScript knows', '{"__proto__":{"x":1},"constructor":2,"a":1,"a":2}'],
    ['braces, quotes and commas in text', String.raw`{"t":"}],\"{[:,\\","u":[{"},":":"}]}`],
    ['a number', '-0.0'],
    ['text', '"ä\\u00e4"'],
    ['null', 'null'],
    ['a list', '[ 1,\n2 ]'],
  ])('is stored as it was written: %s', async (_, data) => {
    const answer = await postEvent(ingress, ` {"topic" : "shop.order" , "data":\n${data}\t} `);
    expect(answer).toMatchObject({ status: 202, body: { duplicate: false } });
    expect(await storedEvents(ingress.database.db)).toMatchObject([
      { id: eventIdOf(answer), topic: 'shop.order', payload: data, dispatched_at: null },
    ]);
  });

  test('is stored once under its id', async () => {
    const id = randomUUID();
    const body = (n: number) => JSON.stringify({ id, topic: 'shop.order', data: { n } });
    expect((await postEvent(ingress, body(1))).body).toEqual({ eventId: id, duplicate: false });
    expect((await postEvent(ingress, body(2))).body).toEqual({ eventId: id, duplicate: true });
    expect(await storedEvents(ingress.database.db)).toMatchObject([{ id, payload: '{"n":1}' }]);
  });

  test('may have the largest payload there is in its envelope, and not a byte more', async () => {
    const body = (bytes: number) => `{"topic":"a.b","data":"${'x'.repeat(bytes - 2)}"}`;
    expect(await postEvent(ingress, body(1024 * 1024))).toMatchObject({ status: 202 });
    const sentence = /^data: it is 1048577 bytes long; 1048576 \(1 MiB\) at most$/;
    const tooLarge = await postEvent(ingress, body(1024 * 1024 + 1));
    expect(tooLarge).toMatchObject({ status: 413, body: { error: expect.stringMatching(sentence) as string } });
    expect(await postEvent(ingress, body(1024 * 1024 + 100_000))).toMatchObject({ status: 413 });
    expect(await countEvents(ingress.database.db)).toBe(1);
  });
});

describe('E13: an envelope that is wrong is refused, and the field named', () => {
  test.each([
    ['{}', 'topic: it is missing'],
    ['{"topic":"a.b"}', 'data: it is missing'],
    ['{"data":1}', 'topic: it is missing'],
    ['{"topic":7,"data":1}', 'topic: it is not a string'],
    ['{"topic":null,"data":1}', 'topic: it is not a string'],
    ['{"topic":"a.b","data":1,"id":7}', 'id: it is not a string'],
    ['{"topic":"a.b","data":1,"id":"seven"}', 'id: "seven" is not a UUID'],
    ['{"topic":"a.b","data":1,"dedupeKey":"x"}', '"dedupeKey": there is no such field; there are topic, data, id'],
    ['{"topic":"a.b","data":1,"__proto__":1}', '"__proto__": there is no such field; there are topic, data, id'],
    ['{"topic":"a.b","data":1,"topic":"c.d"}', 'topic: it is there twice'],
    ['{"topic":"a.b","data":1,"\\u0064ata":2}', 'data: it is there twice'],
    ['{"topic":"","data":1}', 'topic: it is empty'],
    ['{"topic":"a..b","data":1}', 'topic: token 2 of "a..b" is empty'],
    ['{"topic":"a.*","data":1}', 'topic: token 2 of "a.*" is the wildcard "*"; only patterns have wildcards'],
    [`{"topic":"${'t'.repeat(256)}","data":1}`, 'topic: it has 256 characters; 255 at most'],
    ['[]', 'body: it is not a JSON object'],
    ['"x"', 'body: it is not a JSON object'],
    ['null', 'body: it is not a JSON object'],
  ])('%s', async (body, error) => {
    expect(await postEvent(ingress, body)).toMatchObject({ status: 400, body: { error } });
    expect(await countEvents(ingress.database.db)).toBe(0);
  });

  test.each(['system.webhook.control', 'system.x'])(
    'forgeflow alone says %s, which could stop its workers',
    async (topic) => {
      const answer = await postEvent(ingress, JSON.stringify({ topic, data: { action: 'stop' } }));
      expect(answer).toMatchObject({
        status: 400,
        body: { error: 'topic: those that begin with "system." are published by forgeflow itself' },
      });
      expect(await countEvents(ingress.database.db)).toBe(0);
    },
  );
});

describe('E13: the bearer token', () => {
  const body = '{"topic":"a.b","data":1}';
  const postWith = (authorization?: string) =>
    post(`${ingress.url}/events`, body, authorization === undefined ? {} : { authorization });

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer wrong',
    'the-token-of-this-test-ingress',
    'Basic the-token-of-this-test-ingress',
    'Bearer the-token-of-this-test-ingres',
    'Bearer the-token-of-this-test-ingresss',
  ])('is asked for: %s', async (authorization) => {
    const answer = await postWith(authorization);
    expect(answer).toMatchObject({
      status: 401,
      body: { error: 'Authorization: it is not "Bearer" and the INGRESS_TOKEN of this ingress' },
    });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(await countEvents(ingress.database.db)).toBe(0);
  });

  test('opens, however "bearer" is written', async () => {
    expect(await postWith('bearer the-token-of-this-test-ingress')).toMatchObject({ status: 202 });
  });
});
