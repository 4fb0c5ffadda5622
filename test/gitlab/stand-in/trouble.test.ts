import { describe, expect, test } from 'vitest';
import { ask, gitlabForTest } from './api.ts';

const URL = 'http://127.0.0.1:9/gitlab/events';

async function gitlabWithProject() {
  const gitlab = await gitlabForTest();
  const project = gitlab.addProject({ path: 'kiln' });
  return { gitlab, project, path: `/projects/${project.id}/hooks` };
}

describe('a rate limit', () => {
  test('shows on every answer, refuses above it, and is over with its window', async () => {
    const gitlab = await gitlabForTest();
    gitlab.rateLimit.set({ limit: 2 });
    const [first, second, third] = [
      await ask(gitlab, 'GET /user'),
      await ask(gitlab, 'GET /nothing'),
      await ask(gitlab, 'GET /user'),
    ];
    expect([first.status, second.status, third.status]).toEqual([200, 404, 429]);
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'ratelimit-limit': '2',
      'ratelimit-observed': '1',
      'ratelimit-remaining': '1',
      'ratelimit-name': 'throttle_authenticated_api',
    });
    expect(second.headers.get('ratelimit-remaining')).toBe('0');
    expect(first.headers.has('retry-after')).toBe(false);
    const reset = Number(third.headers.get('ratelimit-reset'));
    expect(reset * 1000 - gitlab.clock.now()).toBeGreaterThan(30_000);
    expect(Date.parse(third.headers.get('ratelimit-resettime') ?? '')).toBe(reset * 1000);
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(30);
    expect([third.body, third.headers.get('content-type')]).toEqual(['Retry later\n', 'text/plain']);
    expect(gitlab.rateLimit.refused).toBe(1);
    gitlab.clock.advance(61_000);
    expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 200 });
  });

  test('is each token’s own', async () => {
    const gitlab = await gitlabForTest();
    gitlab.rateLimit.set({ limit: 1 });
    const token = gitlab.addToken(gitlab.bot).value;
    await ask(gitlab, 'GET /user');
    expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 429 });
    expect(await ask(gitlab, 'GET /user', undefined, { token })).toMatchObject({ status: 200 });
  });

  test('refuses from the n-th request on, does nothing meanwhile, and ends by the clock', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.rateLimit.refuse({ at: 3, forSeconds: 120 });
    const make = async () => ask(gitlab, `POST ${path}`, { url: URL });
    expect([(await make()).status, (await make()).status]).toEqual([201, 201]);
    const refused = await make();
    expect(refused).toMatchObject({ status: 429 });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(90);
    expect(refused.headers.get('ratelimit-remaining')).toBe('0');
    gitlab.clock.advance(60_000);
    expect(await make()).toMatchObject({ status: 429 });
    expect(gitlab.hooksOf(project)).toHaveLength(2);
    expect(gitlab.rateLimit.refused).toBe(2);
    gitlab.clock.advance(60_000);
    expect(await make()).toMatchObject({ status: 201 });
  });

  test('may say nothing of when it ends, and end when it is told to', async () => {
    const gitlab = await gitlabForTest();
    gitlab.rateLimit.refuse({ bare: true });
    const refused = await ask(gitlab, 'GET /user');
    expect(refused.status).toBe(429);
    expect([...refused.headers.keys()].filter((name) => /ratelimit|retry/.test(name))).toEqual([]);
    gitlab.rateLimit.allow();
    expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 200 });
  });
});

describe('a fault before the work', () => {
  test.each([
    ['a status', { status: 502 }, 502, '<html>'],
    ['a status with a body', { status: 503, body: { message: 'deploying' } }, 503, 'deploying'],
    ['a login page', 'html' as const, 200, 'Sign in'],
    ['anything instead', { instead: '{"id":', contentType: 'application/json' }, 200, ''],
  ])('%s', async (_, fault, status, text) => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.faults.add({ fault });
    const response = await fetch(`${gitlab.url}/api/v4${path}`, {
      method: 'POST',
      headers: { 'PRIVATE-TOKEN': gitlab.token, 'Content-Type': 'application/json' },
      body: JSON.stringify({ url: URL }),
    });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(text);
    expect(gitlab.hooksOf(project)).toEqual([]);
    expect(gitlab.requests).toMatchObject([{ method: 'POST', path, status }]);
  });

  test('a torn connection', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.faults.add({ fault: 'reset' });
    await expect(ask(gitlab, `POST ${path}`, { url: URL })).rejects.toThrow('fetch failed');
    expect(gitlab.hooksOf(project)).toEqual([]);
    expect(gitlab.requests).toMatchObject([{ status: null }]);
  });

  test('no answer, until the faults are cleared', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.faults.add({ fault: 'hang' });
    const asked = ask(gitlab, `POST ${path}`, { url: URL }).then(
      () => 'answered',
      () => 'torn down',
    );
    expect(await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 50, 'waiting'))])).toBe('waiting');
    gitlab.faults.clear();
    expect(await asked).toBe('torn down');
    expect(gitlab.hooksOf(project)).toEqual([]);
  });

  test('a slow answer', async () => {
    const gitlab = await gitlabForTest();
    gitlab.faults.add({ fault: { slow: 60 } });
    const startedAt = performance.now();
    expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 200 });
    expect(performance.now() - startedAt).toBeGreaterThan(50);
  });
});

describe('a fault after the work', () => {
  test.each(['lostAnswer', 'truncated', 'brokenOff', { statusAfterWork: 502 }] as const)('%j', async (fault) => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.faults.add({ fault, times: 1 });
    const answered = await ask(gitlab, `POST ${path}`, { url: URL }).then(
      ({ status }) => status,
      (error: unknown) => (error as Error).name,
    );
    expect(answered).toBe(typeof fault === 'object' ? 502 : fault === 'truncated' ? 'SyntaxError' : 'TypeError');
    expect(gitlab.hooksOf(project)).toMatchObject([{ url: URL }]);
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ status: 200, body: [{ url: URL }] });
  });

  test('no answer', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    gitlab.faults.add({ fault: 'hangAfterWork' });
    const asked = ask(gitlab, `POST ${path}`, { url: URL });
    await expect.poll(() => gitlab.hooksOf(project)).toHaveLength(1);
    gitlab.faults.clear();
    await expect(asked).rejects.toThrow('fetch failed');
  });
});

describe('faults', () => {
  test('befall the requests they are for, from one on and so many of them', async () => {
    const gitlab = await gitlabForTest();
    const fault = gitlab.faults.add({ method: 'GET', path: /^\/user/, from: 2, times: 2, fault: { status: 500 } });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n++) {
      await ask(gitlab, 'GET /projects');
      statuses.push((await ask(gitlab, 'GET /user')).status);
    }
    expect(statuses).toEqual([200, 500, 500, 200, 200]);
    expect(fault.hits).toBe(2);
  });

  test('can do anything before the work, and after it while the client waits', async () => {
    const { gitlab, project, path } = await gitlabWithProject();
    const seen: number[] = [];
    const look = () => seen.push(gitlab.hooksOf(project).length);
    gitlab.faults.add({ fault: { do: look, when: 'before' } });
    const after = gitlab.faults.add({ fault: { do: look, when: 'after' } });
    gitlab.faults.add({ fault: 'lostAnswer', times: 1 });
    await expect(ask(gitlab, `POST ${path}`, { url: URL })).rejects.toThrow();
    expect(seen).toEqual([0, 1]);
    after.remove();
    await ask(gitlab, `POST ${path}`, { url: URL });
    expect(seen).toEqual([0, 1, 1]);
  });
});

test('the requests are counted, also how many came at once', async () => {
  const gitlab = await gitlabForTest({ loggedRequests: 4 });
  const all = expect.poll(() => gitlab.mostRequestsAtOnce, { timeout: 30_000 }).toBe(6);
  const held = gitlab.faults.add({ fault: { do: () => all, when: 'before' } });
  await Promise.all(Array.from({ length: 6 }, async () => ask(gitlab, 'GET /user')));
  expect(gitlab.requestCount).toBe(6);
  held.remove();
  expect(gitlab.requests.length).toBeLessThanOrEqual(4);
  gitlab.forgetRequests();
  await ask(gitlab, 'GET /user?x=1');
  expect(gitlab.requests).toMatchObject([{ method: 'GET', path: '/user?x=1', status: 200, body: '' }]);
  expect([gitlab.requestCount, gitlab.mostRequestsAtOnce]).toEqual([1, 1]);
});

test('every answer takes a while where that is asked for', async () => {
  const gitlab = await gitlabForTest({ latencyMs: 60 });
  const startedAt = performance.now();
  await ask(gitlab, 'GET /user');
  expect(performance.now() - startedAt).toBeGreaterThan(50);
  gitlab.latencyMs = 0;
  expect(await ask(gitlab, 'GET /user')).toMatchObject({ status: 200 });
});

test('it can go away, and come back as it was', async () => {
  const { gitlab, project, path } = await gitlabWithProject();
  await ask(gitlab, `POST ${path}`, { url: URL });
  await gitlab.goAway();
  await expect(ask(gitlab, 'GET /user')).rejects.toThrow('fetch failed');
  await gitlab.comeBack();
  expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ status: 200, body: [{}] });
  expect(gitlab.hooksOf(project)).toHaveLength(1);
  await gitlab.close();
  await gitlab.close();
  await expect(ask(gitlab, 'GET /user')).rejects.toThrow('fetch failed');
});
