import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Delivery, DeliveryWithAttempts } from '../../src/client/deliveries.ts';
import { settlesWithin } from '../../src/dev/child-process.ts';
import { startReceiver } from '../support/receiver.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
let home: string;
let env: Record<string, string>;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'forgeflow-dev-'));
  env = { FORGEFLOW_HOME: home, DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8', LOG_LEVEL: 'warn' };
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

interface Ready {
  ready: boolean;
  databaseUrl: string;
  temporalAddress: string;
  webUiUrl: string;
  ingressUrl: string;
}

/** `npm run forgeflow -- dev --json`, as the README has it. */
async function startDev() {
  const process_ = execa('npm', ['run', '--silent', 'forgeflow', '--', 'dev', '--json'], {
    cwd: ROOT,
    env: { ...env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' },
    reject: false,
  });
  let output = '';
  const line = await new Promise<string>((resolve, reject) => {
    process_.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('\n')) resolve(output);
    });
    void process_.then((result) => {
      reject(new Error(`dev ended: ${result.stderr}`));
    });
  });
  return { ready: JSON.parse(line) as Ready, process: process_ };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** With the token that `dev` made, which only its owner may read. */
async function publishThrough(ingressUrl: string, body: string): Promise<void> {
  const file = join(home, 'ingress-token');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const authorization = `Bearer ${readFileSync(file, 'utf8')}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const response = await fetch(`${ingressUrl}/events`, { method: 'POST', headers, body });
  expect(response.status).toBe(202);
}

test('dev is ready with its addresses, delivers, stops as a whole, and keeps its deliveries over a restart', async () => {
  const receiver = await startReceiver();
  const first = await startDev();
  expect(first.ready).toMatchObject({ ready: true });
  expect((await fetch(first.ready.webUiUrl)).status).toBe(200);

  const second = await forgeflow(['dev'], env);
  expect(second).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/is running already \(pid \d+\)$/) as string,
  });

  await forgeflowJson(['subscriptions', 'add', '--name', 'team', '--url', receiver.url, '--pattern', 'a.>'], env);
  await publishThrough(first.ready.ingressUrl, '{"topic":"a.b","data":{"x":  1}}');
  await receiver.waitForRequests(1, 10_000);
  await expect
    .poll(() => forgeflowJson<Delivery[]>(['deliveries', 'list', '--state', 'delivered'], env))
    .toHaveLength(1);

  // One process, one text: of the ingress, the worker, and Temporal's SDK.
  const metrics = await (await fetch(`${first.ready.ingressUrl}/metrics`)).text();
  expect(metrics).toContain('forgeflow_ingress_requests_total{route="/events",status="202"} 1');
  expect(metrics).toContain('forgeflow_attempts_total{outcome="delivered"} 1');
  expect(metrics).toMatch(/^temporal_\w+\{/m);

  const pids = [
    (JSON.parse(readFileSync(join(home, 'running.json'), 'utf8')) as { pid: number }).pid,
    Number(readFileSync(join(home, 'temporal.pid'), 'utf8')),
    Number(readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]),
  ];
  expect(pids.map(isRunning)).toEqual([true, true, true]);
  first.process.kill('SIGTERM');
  expect(await settlesWithin(Promise.resolve(first.process), 10_000)).toBe(true);
  expect(pids.map(isRunning)).toEqual([false, false, false]);

  const again = await startDev();
  const [kept] = await forgeflowJson<Delivery[]>(['deliveries', 'list'], env);
  expect(kept).toMatchObject({ state: 'delivered', attemptCount: 1, subscription: 'team' });
  const redelivered = await forgeflowJson<DeliveryWithAttempts>(['deliveries', 'redeliver', kept!.id], env);
  expect(redelivered.id).toBe(kept!.id);
  await receiver.waitForRequests(2, 10_000);
  expect(receiver.requests.map(({ rawBody }) => rawBody.toString())).toEqual(['{"x":  1}', '{"x":  1}']);

  // Killed, it leaves its servers behind; the next one ends those and goes on with their data.
  const { pid } = JSON.parse(readFileSync(join(home, 'running.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await again.process;
  const third = await startDev();
  expect(await forgeflowJson<Delivery[]>(['deliveries', 'list'], env)).toHaveLength(1);
  third.process.kill('SIGINT');
  expect((await third.process).exitCode).toBe(0);
  await receiver.close();
}, 120_000);
