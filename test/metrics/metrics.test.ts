import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/connection.ts';
import { freePort } from '../../src/free-port.ts';
import { attemptResult } from '../../src/metrics/attempt-result.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { startMetricsServer } from '../../src/metrics/server.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { testSealer } from '../support/records.ts';

/** The samples of a text in Prometheus' format: `name{labels}` to value. */
function samplesOf(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? [];
      if (name === '') throw new Error(`this is no sample: ${line}`);
      return [name, Number(value)];
    }),
  );
}

describe('E13: what the process itself counts', () => {
  test('starts at zero, for each outcome', async () => {
    const samples = samplesOf(await createMetrics().text());
    for (const outcome of ['delivered', 'bad_response', 'connection_error']) {
      expect(samples[`forgeflow_attempts_total{outcome="${outcome}"}`]).toBe(0);
      expect(samples[`forgeflow_attempt_duration_seconds_count{outcome="${outcome}"}`]).toBe(0);
    }
    expect(samples).not.toHaveProperty('forgeflow_events_waiting');
  });

  test('attempts, by outcome and duration', async () => {
    const metrics = createMetrics();
    metrics.attempted({ outcome: 'delivered', durationMs: 40 });
    metrics.attempted({ outcome: 'delivered', durationMs: 2_000 });
    metrics.attempted({ outcome: 'connection_error', durationMs: 10_000 });
    const samples = samplesOf(await metrics.text());
    expect(samples).toMatchObject({
      'forgeflow_attempts_total{outcome="delivered"}': 2,
      'forgeflow_attempts_total{outcome="bad_response"}': 0,
      'forgeflow_attempts_total{outcome="connection_error"}': 1,
      'forgeflow_attempt_duration_seconds_sum{outcome="delivered"}': 2.04,
      'forgeflow_attempt_duration_seconds_bucket{le="0.05",outcome="delivered"}': 1,
      'forgeflow_attempt_duration_seconds_bucket{le="2.5",outcome="delivered"}': 2,
      'forgeflow_attempt_duration_seconds_bucket{le="5",outcome="connection_error"}': 0,
    });
  });

  test('answers of the ingress, by route and status', async () => {
    const metrics = createMetrics();
    metrics.ingressAnswered({ route: '/events', status: 202 });
    metrics.ingressAnswered({ route: '/events', status: 202 });
    metrics.ingressAnswered({ route: 'unknown', status: 404 });
    const samples = samplesOf(await metrics.text());
    expect(samples['forgeflow_ingress_requests_total{route="/events",status="202"}']).toBe(2);
    expect(samples['forgeflow_ingress_requests_total{route="unknown",status="404"}']).toBe(1);
  });

  test('is its own: another one of the same process has not counted it', async () => {
    createMetrics().attempted({ outcome: 'delivered', durationMs: 1 });
    expect(samplesOf(await createMetrics().text())['forgeflow_attempts_total{outcome="delivered"}']).toBe(0);
  });

  test.each([
    ['delivered', 204],
    ['bad_response', 301],
    ['bad_response', 410],
    ['bad_response', 500],
  ])('an attempt is %s by the status %d', (result, statusCode) => {
    const answer = { headers: {}, body: Buffer.alloc(0), truncated: false, durationMs: 1 };
    expect(attemptResult({ kind: 'response', statusCode, ...answer })).toBe(result);
    expect(attemptResult({ kind: 'connection_error', reason: 'timed out', durationMs: 1 })).toBe('connection_error');
  });
});

describe('E13: what is read from Postgres', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await cloneDatabase();
  });
  afterAll(() => database.drop());

  const read = async () => samplesOf(await createMetrics({ db: database.db }).text());

  test('is zero in an empty database, in every state', async () => {
    const samples = await read();
    const names = Object.keys(samples).filter((name) => !/attempt|ingress|scrape/.test(name));
    expect(Object.fromEntries(names.map((name) => [name, samples[name]]))).toEqual({
      'forgeflow_deliveries{state="pending"}': 0,
      'forgeflow_deliveries{state="delivered"}': 0,
      'forgeflow_deliveries{state="failed"}': 0,
      'forgeflow_deliveries{state="cancelled"}': 0,
      'forgeflow_subscriptions{state="active"}': 0,
      'forgeflow_subscriptions{state="paused"}': 0,
      'forgeflow_subscriptions{state="tripped"}': 0,
      forgeflow_events_waiting: 0,
      forgeflow_oldest_waiting_event_age_seconds: 0,
      forgeflow_deliveries_waiting: 0,
      forgeflow_oldest_waiting_delivery_age_seconds: 0,
    });
  });

  test('is what is there, and what waits for how long', async () => {
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);
    const event = async (age: number, dispatched: boolean): Promise<string> => {
      const id = randomUUID();
      const row = { id, topic: 'a.b', payload: '1', created_at: ago(age), dispatched_at: dispatched ? ago(0) : null };
      await database.db.insertInto('events').values(row).execute();
      return id;
    };
    const subscription = async (state: 'active' | 'tripped'): Promise<string> => {
      const id = randomUUID();
      const sealed = { headers_sealed: testSealer.seal('{}'), secret_sealed: testSealer.seal('x') };
      const row = { id, name: id, url: 'https://x.example', patterns: ['a.b'], state, ...sealed };
      await database.db.insertInto('subscriptions').values(row).execute();
      return id;
    };
    const [active] = [await subscription('active'), await subscription('tripped'), await subscription('tripped')];
    // Changing subscriptions publishes events of its own.
    await database.db
      .updateTable('events')
      .set({ dispatched_at: ago(0) })
      .execute();
    await event(90, false);
    await event(30, false);
    for (const [state, age, started] of [
      ['pending', 500, false],
      ['pending', 700, false],
      ['pending', 9_000, true],
      ['failed', 9_000, true],
    ] as const) {
      const row = { id: randomUUID(), subscription_id: active, event_id: await event(9_000, true), state };
      const times = { date_created: ago(age), started_at: started ? ago(0) : null };
      await database.db
        .insertInto('deliveries')
        .values({ ...row, ...times })
        .execute();
    }

    const samples = await read();
    expect(samples).toMatchObject({
      'forgeflow_deliveries{state="pending"}': 3,
      'forgeflow_deliveries{state="delivered"}': 0,
      'forgeflow_deliveries{state="failed"}': 1,
      'forgeflow_subscriptions{state="active"}': 1,
      'forgeflow_subscriptions{state="tripped"}': 2,
      forgeflow_events_waiting: 2,
      forgeflow_deliveries_waiting: 2,
    });
    const [eventAge, deliveryAge] = ['event', 'delivery'].map(
      (what) => samples[`forgeflow_oldest_waiting_${what}_age_seconds`],
    );
    expect(eventAge).toBeGreaterThanOrEqual(90);
    expect(eventAge).toBeLessThan(120);
    expect(deliveryAge).toBeGreaterThanOrEqual(700);
    expect(deliveryAge).toBeLessThan(730);
  });

  test('is left out while Postgres is away, and not kept from before', async () => {
    const db = openDatabase(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`);
    const text = await createMetrics({ db }).text();
    expect(samplesOf(text)).toMatchObject({
      'forgeflow_scrape_failures_total{source="postgres"}': 1,
      'forgeflow_attempts_total{outcome="delivered"}': 0,
    });
    expect(text).not.toMatch(/forgeflow_(deliveries|subscriptions|events_waiting|oldest)/);
    await db.destroy();
  });
});

describe("E13: what Temporal's SDK counts", () => {
  const SDK_TEXT =
    '# HELP temporal_request Count\n# TYPE temporal_request counter\ntemporal_request{operation="x"} 3\n';
  let answer = { status: 200, text: SDK_TEXT };
  const exporter = createServer((_, response) => response.writeHead(answer.status).end(answer.text));
  let sdkMetricsUrl: string;

  beforeAll(async () => {
    await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
    sdkMetricsUrl = `http://127.0.0.1:${(exporter.address() as AddressInfo).port}/metrics`;
  });
  afterAll(() => exporter.close());

  test('is part of the same text', async () => {
    const text = await createMetrics({ sdkMetricsUrl }).text();
    expect(text).toContain(SDK_TEXT);
    expect(samplesOf(text)).toMatchObject({ 'temporal_request{operation="x"}': 3 });
  });

  test('is left out, and that counted, when its exporter does not answer as it should', async () => {
    const metrics = createMetrics({ sdkMetricsUrl });
    answer = { status: 500, text: 'oh no' };
    await metrics.text();
    const text = await metrics.text();
    expect(samplesOf(text)).toMatchObject({ 'forgeflow_scrape_failures_total{source="temporal_sdk"}': 2 });
    expect(text).not.toMatch(/temporal_request|oh no/);
    const nowhere = createMetrics({ sdkMetricsUrl: `http://127.0.0.1:${await freePort()}/metrics` });
    expect(samplesOf(await nowhere.text())['forgeflow_scrape_failures_total{source="temporal_sdk"}']).toBe(1);
  });
});

test('E13: a process without an ingress serves its metrics on a port of their own', async () => {
  const metrics = createMetrics();
  const server = await startMetricsServer({ port: 0, host: '127.0.0.1', metrics });
  const response = await fetch(server.url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toBe(await metrics.text());
  expect((await fetch(new URL('/', server.url))).status).toBe(404);
  expect((await fetch(server.url, { method: 'POST' })).status).toBe(405);
  await expect(
    startMetricsServer({ port: Number(new URL(server.url).port), host: '127.0.0.1', metrics }),
  ).rejects.toThrow('EADDRINUSE');
  await server.stop();
  await expect(fetch(server.url)).rejects.toThrow();
});
