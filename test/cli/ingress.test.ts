import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../src/free-port.ts';
import { postAsGitlab, storedEvents, TOKEN } from '../ingress/ingress.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { PUSH } from '../support/gitlab-payloads.ts';
import { FORGEFLOW } from '../support/worker-process.ts';
import { forgeflow } from './forgeflow.ts';

let home: string;
let database: TestDatabase;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'forgeflow-ingress-'));
  database = await cloneDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(home, { recursive: true });
});

async function startIngress(databaseUrl = database.url) {
  const port = await freePort();
  const { PATH, HOME } = process.env;
  const settings = { DATABASE_URL: databaseUrl, INGRESS_TOKEN: TOKEN, INGRESS_PORT: String(port) };
  const child = spawn(process.execPath, [FORGEFLOW, 'ingress'], {
    cwd: home,
    env: { PATH, HOME, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(signal ?? code);
    });
  });
  await eventually(async () => {
    expect(log).toContain('"msg":"ingress started"');
    return Promise.resolve();
  });
  return { url: `http://127.0.0.1:${port}`, port, child, ended, log: () => log, stdout: () => stdout };
}

/** A request of which the last byte is not sent yet, and the server's answer. */
async function unfinishedRequest(port: number, body: string) {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => {
      resolve(answer);
    });
  });
  const head = `POST /gitlab/events HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: ${TOKEN}\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, -1)}`);
  await sleep(200);
  return { finish: () => socket.write(body.slice(-1)), closed };
}

describe('E13: forgeflow ingress', () => {
  test('takes events; on SIGTERM it answers the request in flight, takes no other, and ends with 0', async () => {
    const ingress = await startIngress();
    expect(await postAsGitlab(ingress, PUSH.body)).toMatchObject({ status: 202 });
    const slow = await unfinishedRequest(ingress.port, '{"object_kind":"slow"}');
    ingress.child.kill('SIGTERM');
    await eventually(async () => {
      expect(ingress.log()).toContain('ingress finishes what is in flight');
      await expect(fetch(`${ingress.url}/healthz`)).rejects.toThrow();
    });
    slow.finish();
    expect(await slow.closed).toMatch(/^HTTP\/1\.1 202 [^]*connection: close[^]*"duplicate":false/i);
    expect(await ingress.ended).toBe(0);
    expect((await storedEvents(database.db)).map(({ topic }) => topic)).toEqual(['gitlab.push', 'gitlab.slow']);
    expect(ingress.stdout()).toBe('');
    expect(ingress.log()).not.toContain(TOKEN);
  });

  test('ends in time although a sender does not', async () => {
    const ingress = await startIngress();
    const startedAt = Date.now();
    const never = await unfinishedRequest(ingress.port, '{"object_kind":"never"}');
    ingress.child.kill('SIGINT');
    expect(await ingress.ended).toBe(0);
    expect(Date.now() - startedAt).toBeLessThan(14_000);
    expect(await never.closed).toBe('');
  });

  test('starts and stops without a Postgres', async () => {
    const ingress = await startIngress(`postgres://nobody@127.0.0.1:${await freePort()}/nothing`);
    expect((await fetch(`${ingress.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${ingress.url}/readyz`)).status).toBe(503);
    ingress.child.kill('SIGTERM');
    expect(await ingress.ended).toBe(0);
  });

  test.each([
    ['a token', { DATABASE_URL: 'postgres://x' }, 'INGRESS_TOKEN: it is not set (make one: openssl rand -hex 32)'],
    ['a database', { INGRESS_TOKEN: TOKEN }, 'DATABASE_URL: it is not set'],
  ])('does not start without %s', async (_, settings, sentence) => {
    const { exitCode, stderr } = await forgeflow(['ingress'], { ...settings, FORGEFLOW_HOME: home });
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: `error: ${sentence}` });
  });

  test('says which setting to change where its port is taken', async () => {
    const ingress = await startIngress();
    const settings = { DATABASE_URL: database.url, INGRESS_TOKEN: TOKEN, INGRESS_PORT: String(ingress.port) };
    const { exitCode, stderr } = await forgeflow(['ingress'], { ...settings, FORGEFLOW_HOME: home });
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `error: INGRESS_PORT: another program listens to port ${ingress.port} already`,
    });
    ingress.child.kill('SIGTERM');
    expect(await ingress.ended).toBe(0);
  });
});
