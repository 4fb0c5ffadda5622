import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { resolve } from 'node:path';
import { SingleBar } from 'cli-progress';
import pc from 'picocolors';
import { Webhook } from 'standardwebhooks';
import { explain } from '../src/cli/errors.ts';
import { untilAskedToStop } from '../src/cli/signals.ts';
import { ForgeflowClient } from '../src/client/forgeflow-client.ts';
import type { DeliveryWithAttempts } from '../src/client/deliveries.ts';
import { loadConfig } from '../src/config.ts';
import { startDev } from '../src/dev/dev-system.ts';
import { fastForward } from '../src/dev/fast-forward.ts';
import { freePort } from '../src/free-port.ts';
import { deliveryWorkflowId } from '../src/domain/delivery.ts';
import { formatDelay } from '../src/domain/retry-policy.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const BURST = 40;
const MISSED = 5;

/** What the show claims, and whether it came true. */
const claims: { claim: string; cameTrue: boolean }[] = [];
const started = Date.now();

const say = (text = ''): void => {
  console.log(text);
};
const chapter = (title: string): void => {
  say(`\n${pc.bold(pc.cyan(title))}`);
};
const claim = (text: string, cameTrue: boolean): void => {
  claims.push({ claim: text, cameTrue });
  say(`  ${cameTrue ? pc.green('✓') : pc.red('✗')} ${text}`);
};

const asked = untilAskedToStop();
// A home of its own, emptied first: the show is the same every time, and the data of a `forgeflow dev` is left alone.
const home = resolve('.forgeflow', 'demo');
rmSync(home, { recursive: true, force: true });

say(pc.bold('forgeflow: durable webhooks, shown on a real Postgres, a real Temporal server and real HTTP'));
chapter('1. Bringing up Postgres, Temporal with its Web UI, a worker and the ingress');
const config = loadConfig({
  ...process.env,
  FORGEFLOW_HOME: home,
  DATABASE_URL: '',
  TEMPORAL_ADDRESS: '',
  DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8', // where the receivers of the show are
  LOG_LEVEL: 'error',
});
const system = await startDev(config).catch((error: unknown) =>
  process.exit(explain(error, process.argv.includes('--debug'))),
);
const forgeflow = await ForgeflowClient.connect(system.config);
const receivers: Server[] = [];
try {
  say(
    `  ready after ${formatDelay(Date.now() - started)}; the Web UI is at ${webUi('')}, the ingress at ${system.addresses.ingressUrl}`,
  );
  await Promise.race([show(), asked, system.done]);
  if (claims.length > 0 && !process.argv.includes('--exit')) {
    say(`\nEverything stays up for a look around. ${pc.bold('Ctrl-C')} ends it.`);
    await Promise.race([asked, system.done]);
  }
} catch (error) {
  claims.push({ claim: 'the show goes through to its end', cameTrue: false });
  explain(error, process.argv.includes('--debug'));
} finally {
  await end();
}

async function show(): Promise<void> {
  chapter('2. Three receivers subscribe');
  const healthy = await startReceiver(() => 204);
  let refusals = 0;
  const flaky = await startReceiver(() => (refusals++ < 13 ? 503 : 200));
  const deadPort = await freePort();
  const secrets = new Map<string, string>();
  for (const [name, url, pattern] of [
    ['healthy', healthy.url, 'gitlab.>'],
    ['flaky', flaky.url, 'gitlab.tag_push'],
    ['dead', `http://127.0.0.1:${deadPort}/hook`, 'gitlab.tag_push'],
  ] as const) {
    const { secret } = await forgeflow.subscriptions.add({ name, url, patterns: [pattern] });
    secrets.set(name, secret);
    say(`  ${name.padEnd(8)} wants ${pattern.padEnd(16)} at ${url}`);
  }

  chapter('3. A subscription may not reach into the inner network');
  for (const url of [
    'http://169.254.169.254/latest/meta-data',
    'http://10.0.0.8:8080/admin',
    'http://[::ffff:10.0.0.8]/',
  ]) {
    const refusal = await forgeflow.subscriptions.add({ name: 'spy', url, patterns: ['>'] }).then(
      () => 'it was let through',
      (error: unknown) => (error instanceof Error ? error.message : ''),
    );
    claim(`refused: ${refusal}`, refusal.includes('address not allowed'));
  }

  chapter(`4. GitLab posts ${BURST} pushes to the ingress`);
  claim('a request without the right token gets 401', (await postToIngress({ project_id: 1 }, 'wrong')).status === 401);
  const bar = new SingleBar({ format: '  {bar} {value}/{total} arrived', hideCursor: true, stream: process.stdout });
  bar.start(BURST, 0);
  let stored = 0;
  for (let push = 1; push <= BURST; push++) {
    const { status } = await postToIngress({
      object_kind: 'push',
      project: { path_with_namespace: 'group/app' },
      total_commits_count: push,
    });
    if (status === 202) stored++;
    bar.update(healthy.requests.length);
  }
  await until(() => {
    bar.update(healthy.requests.length);
    return Promise.resolve(healthy.requests.length >= BURST);
  });
  bar.stop();
  claim(`${stored} of ${BURST} were answered 202, each once it was stored`, stored === BURST);
  const verifier = new Webhook(secrets.get('healthy') ?? '');
  const genuine = healthy.requests.filter(({ headers, body }) => isGenuine(verifier, headers, body)).length;
  claim(`${genuine} of ${BURST} arrived with a signature that the standardwebhooks package accepts`, genuine === BURST);
  const push = { object_kind: 'push', checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7' };
  const answers = [await postToIngress(push, undefined, 'key-1'), await postToIngress(push, undefined, 'key-1')];
  claim(
    'a webhook that GitLab sends again is known by its Idempotency-Key, and stored once',
    answers[0]?.duplicate === false && answers[1]?.duplicate === true && answers[0].eventId === answers[1].eventId,
  );

  chapter('5. One tag, and 24 hours in which one receiver recovers late and one never does');
  await postToIngress({ object_kind: 'tag_push', ref: 'refs/tags/v1.0.0' });
  const flakyId = await onlyDelivery('flaky');
  const deadId = await onlyDelivery('dead');
  await until(
    async () =>
      (await forgeflow.deliveries.show(deadId)).attemptCount >= 1 &&
      (await forgeflow.deliveries.show(flakyId)).attemptCount >= 1,
  );
  say('  skipping time: the workflows live through their day, every attempt is a real request');
  await Promise.all(
    [flakyId, deadId].map((id) => fastForward(forgeflow.temporal, deliveryWorkflowId(id), DAY_MS + 60_000)),
  );
  await until(
    async () =>
      !(await forgeflow.deliveries.show(deadId)).pending && !(await forgeflow.deliveries.show(flakyId)).pending,
  );
  const late = await forgeflow.deliveries.show(flakyId);
  const failed = await forgeflow.deliveries.show(deadId);
  say(`  flaky  ${schedule(late)}`);
  say(`  dead   ${schedule(failed)}`);
  claim(`flaky got it on attempt ${late.attemptCount} of 36`, late.state === 'delivered' && late.attemptCount === 14);
  claim(
    `dead failed for good after ${failed.attemptCount} attempts in 24 h: ${failed.failureDetail ?? ''}`,
    failed.state === 'failed' && failed.attemptCount === 36,
  );

  chapter(`6. The circuit breaker of dead is open, and ${MISSED} more tags come`);
  const before = flaky.requests.length;
  for (let tag = 1; tag <= MISSED; tag++) {
    await forgeflow.publish({ topic: 'gitlab.tag_push', data: { ref: `refs/tags/v1.0.${tag}` } });
  }
  await until(() => Promise.resolve(flaky.requests.length === before + MISSED));
  const { state, lastError } = await forgeflow.subscriptions.show('dead');
  const held = await forgeflow.deliveries.list({ subscription: 'dead', state: 'pending' });
  claim(
    `the others get them; ${held.length} wait for dead, which is ${state} (${lastError ?? ''}), without a request`,
    state === 'tripped' && held.length === MISSED && held.every(({ attemptCount }) => attemptCount === 0),
  );

  chapter('7. Dead comes back, and its failed delivery is queued again by hand');
  const revived = await startReceiver(() => 200, deadPort);
  await forgeflow.deliveries.redeliver(deadId);
  await until(async () => !(await forgeflow.deliveries.show(deadId)).pending);
  const redelivered = await forgeflow.deliveries.show(deadId);
  claim(
    `delivered on attempt ${redelivered.attemptCount}, under the id it always had (webhook-id ${deadId})`,
    redelivered.state === 'delivered' && revived.requests[0]?.headers['webhook-id'] === deadId,
  );
  await until(async () => (await forgeflow.deliveries.list({ subscription: 'dead', state: 'pending' })).length === 0);
  claim(
    `that closed the breaker, and the ${MISSED} that waited got through`,
    (await forgeflow.subscriptions.show('dead')).state === 'active' && revived.requests.length === MISSED + 1,
  );

  const kept = claims.filter(({ cameTrue }) => cameTrue).length;
  chapter(
    `${kept} of ${claims.length} claims came true, in ${formatDelay(Date.now() - started)}. Where to look in the Web UI:`,
  );
  say(`  all deliveries         ${webUi('/workflows')}`);
  say(`  the 24 h of dead       ${webUi(`/workflows/${encodeURIComponent(deliveryWorkflowId(deadId))}`)}`);
  say(`  those to one receiver  ${webUi(`/workflows?query=${encodeURIComponent('forgeflowSubscription="flaky"')}`)}`);
  say(`  those that failed      ${webUi(`/workflows?query=${encodeURIComponent('forgeflowState="failed"')}`)}`);
  say(`\nOr here, in another terminal: FORGEFLOW_HOME=.forgeflow/demo npm run forgeflow -- deliveries list`);
}

function webUi(path: string): string {
  return `${system.addresses.webUiUrl ?? ''}/namespaces/default${path}`;
}

interface ShowReceiver {
  url: string;
  requests: { headers: Record<string, string>; body: string }[];
}

async function startReceiver(answer: () => number, port = 0): Promise<ShowReceiver> {
  const requests: ShowReceiver['requests'] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      requests.push({ headers: request.headers as Record<string, string>, body: body.toString() });
      response.writeHead(answer()).end();
    });
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  receivers.push(server);
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}/hook`, requests };
}

function isGenuine(verifier: Webhook, headers: Record<string, string>, body: string): boolean {
  try {
    verifier.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

/** As GitLab does. */
async function postToIngress(payload: object, token = system.config.ingressToken ?? '', key: string = randomUUID()) {
  const response = await fetch(`${system.addresses.ingressUrl}/gitlab/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-gitlab-token': token, 'idempotency-key': key },
    body: JSON.stringify(payload),
  });
  const { eventId, duplicate } = (await response.json()) as { eventId?: string; duplicate?: boolean };
  return { status: response.status, eventId, duplicate };
}

async function onlyDelivery(subscription: string): Promise<string> {
  let id: string | undefined;
  await until(async () => {
    id = (await forgeflow.deliveries.list({ subscription }))[0]?.id;
    return id !== undefined;
  });
  return id ?? '';
}

/** When the attempts were made, counted from the first: `0, 5 min, 10 min, … 24 h`. */
function schedule({ attempts }: DeliveryWithAttempts): string {
  const first = Date.parse(attempts[0]?.sentAt ?? '');
  const times = attempts.map(({ sentAt }) => formatDelay(Math.round((Date.parse(sentAt) - first) / 60_000) * 60_000));
  const shown = times.length > 18 ? [...times.slice(0, 15), '…', ...times.slice(-2)] : times;
  return shown.map((text, index) => (index === 0 ? '0' : text)).join(', ');
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the show did not go on within a minute');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function end(): Promise<void> {
  for (const receiver of receivers) {
    receiver.close();
    receiver.closeAllConnections();
  }
  await forgeflow.close();
  await system.stop();
  process.exitCode = claims.length > 0 && claims.every(({ cameTrue }) => cameTrue) ? 0 : 1;
}
