import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Delivery, DeliveryWithAttempts } from '../../src/client/deliveries.ts';
import type { SystemStatus } from '../../src/client/status.ts';
import type { Subscription, SubscriptionWithSecret } from '../../src/client/subscriptions.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

let environment: Environment;
let env: Record<string, string>;
let home: string;
let url: string;
let server: Server;

beforeAll(async () => {
  environment = await startEnvironment();
  home = mkdtempSync(join(tmpdir(), 'forgeflow-cli-'));
  const { databaseUrl, temporalEnv, secretsKey } = environment.config;
  env = {
    FORGEFLOW_HOME: home,
    DATABASE_URL: databaseUrl ?? '',
    TEMPORAL_ADDRESS: temporalEnv['TEMPORAL_ADDRESS'] ?? '',
    SECRETS_KEY: secretsKey ?? '',
    DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
  };
  server = createServer((request, response) => {
    response.writeHead(request.url === '/down' ? 500 : 202, { 'x-seen': 'yes' }).end('noted');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
});

afterAll(async () => {
  server.close();
  await environment.stop();
  rmSync(home, { recursive: true, force: true });
});

const add = (name: string, path: string, ...more: string[]) =>
  forgeflowJson<SubscriptionWithSecret>(
    ['subscriptions', 'add', '--name', name, '--url', url + path, '--pattern', `${name}.>`, ...more],
    env,
  );

describe('JSON shapes', () => {
  test('subscriptions: add, list, show, update, test, pause, enable, rotate-secret, delete', async () => {
    const added = await add('ci', '/hook', '--header', 'Authorization: Bearer token-of-ci');
    expect(Object.keys(added).sort()).toEqual(['id', 'lane', 'name', 'patterns', 'secret', 'state', 'url']);
    expect(added).toMatchObject({
      name: 'ci',
      url: `${url}/hook`,
      patterns: ['ci.>'],
      lane: 'workflow',
      state: 'active',
    });
    expect(added.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);

    const shown = await forgeflowJson<Subscription>(['subscriptions', 'show', 'ci'], env);
    expect(shown).toEqual({
      id: added.id,
      name: 'ci',
      url: `${url}/hook`,
      patterns: ['ci.>'],
      lane: 'workflow',
      state: 'active',
      consecutiveFailures: 0,
      lastSuccessAt: null,
      lastFailureAt: null,
      lastError: null,
      trippedAt: null,
    });
    expect(await forgeflowJson(['subscriptions', 'list'], env)).toContainEqual(shown);

    expect(await forgeflowJson(['subscriptions', 'test', 'ci'], env)).toEqual({
      outcome: { statusCode: 202, connectionError: null, durationMs: expect.any(Number) as number },
      successful: true,
    });
    const changed = ['subscriptions', 'update', 'ci', '--url', `${url}/down`, '--pattern', 'x.y', '--pattern', 'x.*'];
    expect(await forgeflowJson(changed, env)).toMatchObject({ url: `${url}/down`, patterns: ['x.y', 'x.*'] });
    const down = await forgeflow(['subscriptions', 'test', 'ci', '--json'], env);
    expect(down.exitCode).toBe(1);
    expect(JSON.parse(down.stdout)).toMatchObject({ outcome: { statusCode: 500 }, successful: false });

    expect(await forgeflowJson(['subscriptions', 'pause', 'ci'], env)).toMatchObject({ state: 'paused' });
    expect(await forgeflowJson(['subscriptions', 'enable', 'ci'], env)).toMatchObject({ state: 'active' });
    const rotated = await forgeflowJson<SubscriptionWithSecret>(['subscriptions', 'rotate-secret', 'ci'], env);
    expect(rotated.secret).not.toBe(added.secret);
    expect(await forgeflowJson(['subscriptions', 'delete', 'ci'], env)).toEqual({ name: 'ci', deleted: true });
    expect((await forgeflow(['subscriptions', 'show', 'ci'], env)).exitCode).toBe(3);
  });

  test('E14: subscriptions take a lane and change it; what they say of it, as JSON and in words', async () => {
    const added = await add('lanes', '/hook', '--lane', 'express');
    expect(added.lane).toBe('express');
    expect((await forgeflow(['subscriptions', 'show', 'lanes'], env)).stdout).toMatch(/^lane +express$/m);
    const list = await forgeflow(['subscriptions', 'list'], env);
    expect(list.stdout).toMatch(/^NAME +STATE +LANE +PATTERNS +URL/m);
    expect(list.stdout).toMatch(/^lanes +active +express +lanes\.> /m);

    const changed = ['subscriptions', 'update', 'lanes', '--lane'];
    expect(await forgeflowJson([...changed, 'auto'], env)).toMatchObject({ lane: 'auto', patterns: ['lanes.>'] });
    expect((await forgeflow([...changed, 'workflow'], env)).stdout).toMatch(/^lane +workflow$/m);
    const bad = await forgeflow([...changed, 'fast'], env);
    expect(bad).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: 'error: lane: "fast" is not one of workflow, express, auto',
    });
    const nothing = await forgeflow(['subscriptions', 'update', 'lanes'], env);
    expect(nothing).toMatchObject({
      exitCode: 2,
      stderr: 'error: nothing to change: give a url, patterns, headers or a lane',
    });
    expect(await forgeflowJson(['subscriptions', 'show', 'lanes'], env)).toMatchObject({ lane: 'workflow' });
    const help = await forgeflow(['subscriptions', 'add', '--help'], env);
    for (const lane of ['workflow:', 'express:', 'auto:']) expect(help.stdout).toContain(lane);
  });

  test('E14 D4: a delivery of the express lane is listed and shown like any other', async () => {
    await add('single', '/hook');
    await add('batch', '/hook', '--lane', 'express');
    for (const topic of ['single.a', 'batch.a']) await forgeflowJson(['publish', topic, '--data', '{"n":1}'], env);
    const shown: string[] = [];
    for (const name of ['single', 'batch']) {
      const list = ['deliveries', 'list', '--subscription', name, '--state', 'delivered'];
      await expect.poll(() => forgeflowJson<Delivery[]>(list, env), { timeout: 15_000 }).toHaveLength(1);
      const [delivery] = await forgeflowJson<Delivery[]>(list, env);
      const { stdout } = await forgeflow(['deliveries', 'show', delivery!.id], env);
      shown.push(stdout.replaceAll(delivery!.id, '<id>').replaceAll(delivery!.eventId, '<event>'));
    }
    const words = shown.map((text) =>
      text.replaceAll('batch', 'single').replaceAll(/\d+/g, 'n').replaceAll(/ +/g, ' '),
    );
    expect(words[1]).toBe(words[0]);
  });

  test('publish from an argument, a file and stdin; deliveries list and show (D4, D13)', async () => {
    await add('feed', '/hook');
    const file = join(home, 'payload.json');
    writeFileSync(file, '{"from": "file"}');
    const published = await forgeflowJson<{ eventId: string; duplicate: boolean }>(
      ['publish', 'feed.a', '--data', '{"n":1}'],
      env,
    );
    expect(published).toEqual({ eventId: expect.any(String) as string, duplicate: false });
    const again = ['publish', 'feed.a', '--data', '{"n":1}', '--id', published.eventId];
    expect(await forgeflowJson(again, env)).toEqual({ eventId: published.eventId, duplicate: true });
    await forgeflowJson(['publish', 'feed.file', '--data', `@${file}`], env);
    await forgeflowJson(['publish', 'feed.stdin', '--data', '-'], env, '{"from": "stdin"}');

    const list = ['deliveries', 'list', '--subscription', 'feed', '--state', 'delivered'];
    await expect.poll(() => forgeflowJson<Delivery[]>(list, env), { timeout: 15_000 }).toHaveLength(3);
    const deliveries = await forgeflowJson<Delivery[]>(list, env);
    expect(deliveries.map(({ topic }) => topic)).toEqual(['feed.stdin', 'feed.file', 'feed.a']);
    expect(await forgeflowJson(['deliveries', 'list', '--topic', 'feed.file'], env)).toEqual([deliveries[1]]);

    const shown = await forgeflowJson<DeliveryWithAttempts>(['deliveries', 'show', deliveries[2]!.id], env);
    expect(shown).toEqual({
      id: deliveries[2]!.id,
      subscription: 'feed',
      eventId: published.eventId,
      topic: 'feed.a',
      state: 'delivered',
      pending: false,
      successful: true,
      failureDetail: null,
      attemptCount: 1,
      dateCreated: expect.stringMatching(ISO) as string,
      dateFirstSent: expect.stringMatching(ISO) as string,
      dateSent: expect.stringMatching(ISO) as string,
      nextAttemptAt: null,
      payload: { n: 1 },
      attempts: [
        {
          number: 1,
          sentAt: shown.dateSent,
          durationMs: expect.any(Number) as number,
          statusCode: 202,
          connectionError: null,
          responseHeaders: expect.objectContaining({ 'x-seen': 'yes' }) as object,
          responseBody: 'noted',
          truncated: false,
        },
      ],
    });
  });

  test('deliveries retry, cancel, redeliver one and in bulk (D6); status', async () => {
    await add('broken', '/down');
    await forgeflowJson(['publish', 'broken.a', '--data', '1'], env);
    const attempted = (count: number) => async () =>
      (await forgeflowJson<Delivery[]>(['deliveries', 'list', '--subscription', 'broken'], env))[0]?.attemptCount ===
      count;
    await expect.poll(attempted(1), { timeout: 10_000 }).toBe(true);
    const [delivery] = await forgeflowJson<Delivery[]>(['deliveries', 'list', '--subscription', 'broken'], env);
    expect(delivery).toMatchObject({ state: 'pending', successful: null, failureDetail: 'Bad HTTP response: 500' });
    const id = delivery!.id;
    await forgeflowJson(['deliveries', 'retry', id], env);
    await expect.poll(attempted(2), { timeout: 10_000 }).toBe(true);
    expect(await forgeflow(['deliveries', 'redeliver', id], env)).toMatchObject({ exitCode: 1 });
    expect(await forgeflowJson(['deliveries', 'cancel', id], env)).toMatchObject({
      state: 'cancelled',
      successful: false,
    });
    expect(await forgeflow(['deliveries', 'cancel', id], env)).toMatchObject({ exitCode: 1 });

    await forgeflowJson(['subscriptions', 'update', 'broken', '--url', `${url}/hook`], env);
    const bulk = ['deliveries', 'redeliver', '--subscription', 'broken', '--since', '2026-01-01T00:00:00Z'];
    expect(await forgeflowJson(bulk, env)).toEqual({ redelivered: 1 });
    await expect
      .poll(() => forgeflowJson(['deliveries', 'show', id], env), { timeout: 10_000 })
      .toMatchObject({
        state: 'delivered',
        attemptCount: 3,
      });

    const status = await forgeflowJson<SystemStatus>(['status'], env);
    expect(status.queues!.map(({ queue, kind, workers }) => `${queue} ${kind} ${workers}`)).toEqual([
      'forgeflow workflow 1',
      'forgeflow activity 1',
      'egress workflow 1',
      'egress activity 1',
      'gitlab activity 1',
      'git activity 1',
      'checks activity 1',
    ]);
    expect(status.deliveries.delivered).toBeGreaterThanOrEqual(1);
  });
});

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('bad input gets one sentence that names the field, and leaves no trace', () => {
  const target = ['--name', 'n', '--pattern', 'a'];
  test.each<[string, string[], number, RegExp]>([
    [
      'another scheme',
      ['subscriptions', 'add', ...target, '--url', 'ftp://a.example/'],
      2,
      /^error: url: its scheme is "ftp"/,
    ],
    [
      'credentials',
      ['subscriptions', 'add', ...target, '--url', 'http://u:pw@a.example/'],
      2,
      /^error: url: it contains credentials/,
    ],
    [
      'a private address',
      ['subscriptions', 'add', ...target, '--url', 'http://10.0.0.1/'],
      2,
      /^error: url: address not allowed/,
    ],
    [
      'a short secret',
      ['subscriptions', 'add', ...target, '--url', 'http://a.example/', '--secret', 'whsec_AAAA'],
      2,
      /^error: secret: /,
    ],
    [
      'a bad pattern',
      ['subscriptions', 'add', '--name', 'n', '--url', 'http://a.example/', '--pattern', 'a.>.b'],
      2,
      /^error: pattern: /,
    ],
    [
      'an unknown lane',
      ['subscriptions', 'add', ...target, '--url', 'http://a.example/', '--lane', 'fast'],
      2,
      /^error: lane: "fast" is not one of workflow, express, auto$/,
    ],
    ['no JSON', ['publish', 'a', '--data', '{oops'], 2, /^error: data: it is not JSON/],
    ['no file', ['publish', 'a', '--data', '@/nowhere'], 2, /^error: data: the file "\/nowhere" cannot be read/],
    ['no UUID', ['publish', 'a', '--data', '1', '--id', 'x'], 2, /^error: id: "x" is not a UUID/],
    ['a wildcard topic', ['publish', 'a.*', '--data', '1'], 2, /^error: topic: /],
    ['an unknown delivery', ['deliveries', 'show', 'nope'], 3, /^error: there is no delivery nope$/],
    ['an unknown subscription', ['subscriptions', 'pause', 'nope'], 3, /^error: there is no subscription "nope"$/],
    ['an unknown state', ['deliveries', 'list', '--state', 'lost'], 2, /Allowed choices are pending, delivered/],
    ['a bad limit', ['deliveries', 'list', '--limit', 'many'], 2, /^error: limit: /],
    ['an unknown queue', ['worker', '--queues', 'git,x'], 2, /^error: queues: /],
    ['a missing option', ['subscriptions', 'add', '--name', 'n'], 2, /required option '--url <url>' not specified/],
  ])('%s', async (_, args, exitCode, message) => {
    const result = await forgeflow(args, env);
    expect(result.stderr).toMatch(message);
    expect(result).toMatchObject({ exitCode, stdout: '' });
    expect(result.stderr).not.toMatch(/\n\s+at /);
    expect(
      await environment.database.db.selectFrom('subscriptions').where('name', '=', 'n').selectAll().execute(),
    ).toEqual([]);
  });

  test('D13: a payload over 1 MiB is refused and nothing is stored', async () => {
    const result = await forgeflow(['publish', 'big', '--data', '-'], env, JSON.stringify('x'.repeat(1024 * 1024)));
    expect(result).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^error: data: it is \d+ bytes long/) as string,
    });
    expect(await environment.database.db.selectFrom('events').where('topic', '=', 'big').selectAll().execute()).toEqual(
      [],
    );
  });

  test('settings: the variable is named, and a password in it is not repeated', async () => {
    const wrong = await forgeflow(['status'], { ...env, DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' });
    expect(wrong).toMatchObject({
      exitCode: 1,
      stderr: 'error: DATABASE_URL: no Postgres answers there; is it running?',
    });
    const bad = await forgeflow(['status'], { ...env, EGRESS_CONCURRENCY: 'ten' });
    expect(bad).toMatchObject({ exitCode: 2, stderr: 'error: EGRESS_CONCURRENCY: it is not a number' });
    const otherKey = randomBytes(32).toString('base64');
    expect(await forgeflow(['worker'], { ...env, SECRETS_KEY: otherKey })).toMatchObject({
      exitCode: 2,
      stderr: 'error: SECRETS_KEY: it is not the key that the secrets in the database were sealed with',
    });
  });
});

test('tables for people align, and times are relative and absolute', async () => {
  await add('table', '/hook');
  const { stdout } = await forgeflow(['subscriptions', 'list'], env);
  const [head = '', ...rows] = stdout.split('\n');
  expect(head).toMatch(/^NAME +STATE +LANE +PATTERNS +URL/);
  for (const row of rows) expect(row.slice(head.indexOf('STATE')).startsWith('active')).toBe(true);
});

test('a database without our tables is told from one that is there', async () => {
  const empty = new URL(env['DATABASE_URL'] ?? '');
  empty.pathname = '/postgres';
  const result = await forgeflow(['subscriptions', 'list'], { ...env, DATABASE_URL: empty.href });
  expect(result.stderr).toBe('error: the database has no tables of forgeflow yet; run "forgeflow migrate"');
});
