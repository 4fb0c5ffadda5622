import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { freePort } from '../../src/free-port.ts';
import { type RunningIngress, startIngressProcess } from '../../src/ingress/process.ts';
import { cloneDatabase } from '../support/database.ts';
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts';
import { eventually } from '../support/eventually.ts';
import { PUSH } from '../support/gitlab-payloads.ts';
import { type Answer, eventIdOf, logInMemory, postAsGitlab, postEvent, storedEvents, TOKEN } from './ingress.ts';

async function startIngress(databaseUrl: string): Promise<RunningIngress> {
  const config = loadConfig({ DATABASE_URL: databaseUrl, INGRESS_TOKEN: TOKEN }, tmpdir());
  return startIngressProcess({ config, logger: logInMemory().logger, host: '127.0.0.1', port: await freePort() });
}

function expectNotNow(answer: Answer): void {
  expect(answer).toMatchObject({
    status: 503,
    body: { error: 'the database does not answer; send the request again later' },
  });
  expect(answer.headers.get('retry-after')).toBe('10');
}

const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

describe('E13: Postgres goes away', () => {
  let server: DatabaseServer;

  beforeAll(async () => {
    server = await startDatabaseServer();
  });
  afterAll(() => server.remove());

  async function eventsInDatabase() {
    const db = openDatabase(server.url);
    return storedEvents(db).finally(() => db.destroy());
  }

  test('the ingress starts without it, says 503, stores nothing, and is back by itself', async () => {
    await server.stop();
    const ingress = await startIngress(server.url);
    expect(await statusOf(`${ingress.url}/healthz`)).toBe(200);
    const ready = await fetch(`${ingress.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { error: 'the database does not answer as it should (database away: ECONNREFUSED)' },
    ]);
    expectNotNow(await postAsGitlab(ingress, PUSH.body, { 'Idempotency-Key': 'first' }));
    expectNotNow(await postAsGitlab(ingress, PUSH.body, { 'X-Gitlab-Token': 'perhaps that of an installed hook' }));
    expectNotNow(await postEvent(ingress, '{"topic":"a.b","data":1}'));
    // What needs no database is decided without it.
    expect(await postEvent(ingress, '{"topic":"a.b","data":1}', { authorization: 'Bearer x' })).toMatchObject({
      status: 401,
    });
    const scraped = await fetch(`${ingress.url}/metrics`);
    expect(scraped.status).toBe(200);
    const text = await scraped.text();
    expect(text).toContain('forgeflow_scrape_failures_total{source="postgres"} 1');
    expect(text).toContain('forgeflow_ingress_requests_total{route="/gitlab/events",status="503"} 2');
    expect(text).not.toContain('forgeflow_events_waiting');

    await server.start();
    const answer = await eventually(async () => {
      const again = await postAsGitlab(ingress, PUSH.body, { 'Idempotency-Key': 'first' });
      expect(again.status).toBe(202);
      return again;
    });
    expect(answer.body).toMatchObject({ duplicate: false });
    expect(await eventsInDatabase()).toMatchObject([{ id: eventIdOf(answer), payload: PUSH.body }]);
    expect(await statusOf(`${ingress.url}/readyz`)).toBe(200);
    await ingress.stop();
  });

  test('what was answered with 202 is there, and nothing else, when it breaks off among many', async () => {
    const before = (await eventsInDatabase()).length;
    const ingress = await startIngress(server.url);
    let stopping: Promise<void> | undefined;
    const answers: Answer[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let sent = 0; sent < 60; sent++) {
          answers.push(await postAsGitlab(ingress, PUSH.body));
          if (answers.length === 100) stopping = server.stop();
        }
      }),
    );
    await stopping;
    await server.start();
    const accepted = answers.filter(({ status }) => status === 202);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202, 503]));
    const stored = new Set((await eventsInDatabase()).map(({ id }) => id));
    expect(accepted.filter((answer) => !stored.has(eventIdOf(answer)))).toEqual([]);
    // A connection that breaks after a commit and before its answer leaves an event that nobody was told of.
    expect(stored.size - before).toBeLessThanOrEqual(accepted.length + 10);
    await ingress.stop();
  });
});

describe('E13: a Postgres that takes its time', () => {
  test('is not waited for longer than GitLab waits, and then stores nothing of what waited for a connection', async () => {
    const database = await cloneDatabase();
    const ingress = await startIngress(database.url);
    const sent = 450;
    await database.db.transaction().execute(async (lock) => {
      await lock.schema.alterTable('events').setSchema('public').execute(); // bars the table until the end
      const startedAt = Date.now();
      const answers = await Promise.all(Array.from({ length: sent }, () => postAsGitlab(ingress, PUSH.body)));
      expect(Date.now() - startedAt).toBeLessThan(9_500);
      answers.forEach(expectNotNow);
    });
    expect(await postAsGitlab(ingress, PUSH.body)).toMatchObject({ status: 202 });
    // Statements that were under way cannot be called back: four at once, of a hundred events at most.
    expect((await storedEvents(database.db)).length).toBeLessThanOrEqual(4 * 100 + 1);
    await ingress.stop();
    await database.drop();
  });

  test('or never answers, is not waited for by /readyz', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const ingress = await startIngress(`postgres://ann:s3cret@127.0.0.1:${port}/forgeflow`);
    const startedAt = Date.now();
    const ready = await fetch(`${ingress.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { error: 'the database does not answer as it should (database away: no answer)' },
    ]);
    expect(Date.now() - startedAt).toBeLessThan(4_000);
    await ingress.stop();
    sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => silent.close(resolve));
  });
});
