import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordInstalled, storeHookSecret } from '../../src/database/gitlab-hook-records.ts';
import { newHookSecret } from '../../src/secrets/hook-secret.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { addGroup, addRepository } from '../database/hook-rows.ts';
import { GITLAB_REQUESTS, MERGE_REQUEST, PUSH } from '../support/gitlab-payloads.ts';
import {
  countEvents,
  eventIdOf,
  post,
  postAsGitlab,
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

const PUSHED_PROJECT = 15; // in its payload
const stored = () => storedEvents(ingress.database.db);

describe('E13: what GitLab sends', () => {
  test.each(GITLAB_REQUESTS)('$event becomes $topic', async ({ event, topic, body }) => {
    const answer = await postAsGitlab(ingress, body, { 'X-Gitlab-Event': event });
    expect(answer).toMatchObject({ status: 202, body: { duplicate: false } });
    const [row, ...more] = await stored();
    expect(row).toMatchObject({ id: eventIdOf(answer), topic, payload: body, dedupe_key: null, dispatched_at: null });
    expect(more).toEqual([]);
  });

  test.each([
    ['spaces, and an order of its own', ' {\n "z": 1,\t"object_kind" : "push","a":[ ]}\r\n'],
    ['numbers that no double holds', '{"object_kind":"push","id":12345678901234567890,"x":0.10,"y":1E400}'],
    ['escapes, some of what is no character', String.raw`{"object_kind":"push","t":"\u00e4\/\ud800 \u0000"}`],
    ['characters of every length', '{"object_kind":"push","t":"aä€🔥\u2028"}'],
    ['a name that is there twice', '{"object_kind":"push","a":1,"a":2,"__proto__":{}}'],
  ])('is stored to the byte: %s', async (_, body) => {
    expect(await postAsGitlab(ingress, body)).toMatchObject({ status: 202 });
    expect((await stored()).map(({ payload }) => payload)).toEqual([body]);
  });

  test('may have the largest payload there is, and not a byte more', async () => {
    const frame = '{"object_kind":"push","t":""}';
    const body = (bytes: number) => frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`);
    expect(await postAsGitlab(ingress, body(1024 * 1024))).toMatchObject({ status: 202 });
    expect(await postAsGitlab(ingress, body(1024 * 1024 + 1))).toMatchObject({
      status: 413,
      body: { error: 'body: it is larger than the 1048576 bytes that are taken here' },
    });
    expect(await countEvents(ingress.database.db)).toBe(1);
  });
});

describe('E13: an event that comes again', () => {
  test('is the same one by its Idempotency-Key, whatever else differs', async () => {
    const key = randomUUID();
    const first = await postAsGitlab(ingress, PUSH.body, {
      'Idempotency-Key': key,
      'X-Gitlab-Event-UUID': randomUUID(),
    });
    const again = await postAsGitlab(ingress, `${PUSH.body} `, { 'Idempotency-Key': key });
    expect(first).toMatchObject({ status: 202, body: { duplicate: false } });
    expect(again).toMatchObject({ status: 202, body: { eventId: eventIdOf(first), duplicate: true } });
    const [row, ...more] = await stored();
    expect(row).toMatchObject({ payload: PUSH.body, dedupe_key: `gitlab/idempotency/${key}` });
    expect(more).toEqual([]);
  });

  test('is the same one by its X-Gitlab-Event-UUID and payload, where there is no key', async () => {
    const uuid = { 'X-Gitlab-Event-UUID': randomUUID() };
    const first = await postAsGitlab(ingress, PUSH.body, uuid);
    const again = await postAsGitlab(ingress, PUSH.body, uuid);
    // One action may set off several events, which all have its id.
    const another = await postAsGitlab(ingress, MERGE_REQUEST.body, uuid);
    expect([first, again, another].map(({ body }) => body)).toEqual([
      { eventId: eventIdOf(first), duplicate: false },
      { eventId: eventIdOf(first), duplicate: true },
      { eventId: eventIdOf(another), duplicate: false },
    ]);
    expect(eventIdOf(another)).not.toBe(eventIdOf(first));
    expect(await countEvents(ingress.database.db)).toBe(2);
  });

  test('is another one without either header, or with an empty one', async () => {
    await postAsGitlab(ingress, PUSH.body);
    await postAsGitlab(ingress, PUSH.body, { 'Idempotency-Key': '' });
    await postAsGitlab(ingress, PUSH.body, { 'Idempotency-Key': randomUUID() });
    expect(await countEvents(ingress.database.db)).toBe(3);
  });

  test('is stored once, however many come at the same moment', async () => {
    const key = { 'Idempotency-Key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 30 }, () => postAsGitlab(ingress, PUSH.body, key)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(eventIdOf)).size).toBe(1);
    expect(answers.filter(({ body }) => !(body as { duplicate: boolean }).duplicate)).toHaveLength(1);
    expect(await countEvents(ingress.database.db)).toBe(1);
  });

  test('is refused with a header too long to be remembered', async () => {
    for (const name of ['Idempotency-Key', 'X-Gitlab-Event-UUID']) {
      expect(await postAsGitlab(ingress, PUSH.body, { [name]: 'k'.repeat(256) })).toMatchObject({
        status: 400,
        body: { error: `${name}: it has 256 characters; 255 at most` },
      });
      expect(await postAsGitlab(ingress, PUSH.body, { [name]: 'k'.repeat(255) })).toMatchObject({ status: 202 });
    }
  });
});

describe('E13: the token of an installed hook', () => {
  const installed = `glhook-${randomUUID()}`;
  const postWith = (token: string) => post(`${ingress.url}/gitlab/events`, PUSH.body, { 'X-Gitlab-Token': token });

  beforeAll(async () => {
    const tokenHash = createHash('sha256').update(installed).digest();
    await ingress.database.db.insertInto('gitlab_hooks').values({ id: randomUUID(), token_hash: tokenHash }).execute();
  });

  test('opens, until the hook is gone', async () => {
    expect(await postWith(installed)).toMatchObject({ status: 202 });
    await ingress.database.db.deleteFrom('gitlab_hooks').execute();
    expect(await postWith(installed)).toMatchObject({ status: 401 });
    expect(await countEvents(ingress.database.db)).toBe(1);
  });

  test('G6: opens, and so does the one before it, which the hook may still have; none before that', async () => {
    const { db } = ingress.database;
    const sealer = createSealer(randomBytes(32).toString('base64'));
    const { id, hookId } = await addRepository(db);
    await db.updateTable('repositories').set({ gitlab_id: PUSHED_PROJECT }).where('id', '=', id).execute();
    const secrets = [newHookSecret(sealer), newHookSecret(sealer), newHookSecret(sealer)];
    const statuses = () => Promise.all(secrets.map(async ({ token }) => (await postWith(token)).status));
    const seen: number[][] = [];
    for (const [number, secret] of secrets.entries()) {
      await storeHookSecret(db, hookId, secret);
      seen.push(await statuses());
      await recordInstalled(db, hookId, {
        runId: 'run',
        outcome: 'installed',
        secretId: secret.secretId,
        gitlabHookId: number + 1,
        alertStatus: null,
        disabledUntil: null,
        at: new Date(),
        dueAt: new Date(),
      });
    }
    expect(seen).toEqual([
      [202, 401, 401],
      [202, 202, 401],
      [401, 202, 202],
    ]);
  });

  test('U2: of a project opens what is of that project, and nothing else; of a group, or made by hand, all', async () => {
    const { db } = ingress.database;
    const sealer = createSealer(randomBytes(32).toString('base64'));
    const { gitlabId, hookId } = await addRepository(db);
    const secret = newHookSecret(sealer);
    await storeHookSecret(db, hookId, secret);
    const [own, other] = [gitlabId, gitlabId + 1];
    const send = async (token: string, body: object) => {
      const answer = await post(`${ingress.url}/gitlab/events`, JSON.stringify(body), { 'X-Gitlab-Token': token });
      return [answer.status, (answer.body as { error?: string }).error];
    };
    const refused = [403, 'project_id: the token is that of another project’s hook'];
    const destroy = { event_name: 'project_destroy', project_id: other };
    const ofFork = {
      object_kind: 'merge_request',
      project: { id: own },
      object_attributes: { target_project_id: other },
    };
    expect(await send(secret.token, { object_kind: 'push', project_id: own })).toEqual([202, undefined]);
    expect(await send(secret.token, destroy)).toEqual(refused);
    expect(await send(secret.token, ofFork)).toEqual(refused);
    expect(await send(secret.token, { object_kind: 'push', project: { id: other } })).toEqual(refused);
    expect(await countEvents(db)).toBe(1);
    const group = await addGroup(db);
    const groupSecret = newHookSecret(sealer);
    await storeHookSecret(db, group.hookId, groupSecret);
    expect(await send(groupSecret.token, destroy)).toEqual([202, undefined]);
    expect(await postAsGitlab(ingress, JSON.stringify(destroy))).toMatchObject({ status: 202 }); // made by hand
  });

  test('does not open anything by a part of it, nor by its hash', async () => {
    const hash = createHash('sha256').update(installed).digest();
    for (const wrong of [installed.slice(0, -1), `${installed}x`, hash.toString('hex'), hash.toString('base64'), ' ']) {
      expect(await postWith(wrong)).toMatchObject({ status: 401 });
    }
    expect(await countEvents(ingress.database.db)).toBe(0);
  });
});
