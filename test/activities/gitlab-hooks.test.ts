import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hooksInHand, type InstalledPage } from '../../activities/gitlab-hooks.ts';
import type { GitlabIdentity } from '../../activities/gitlab-listing.ts';
import type { Interruption } from '../../src/domain/install-run.ts';
import { createInstaller } from '../support/gitlab-activities.ts';
import type { Project } from '../support/gitlab/index.ts';
import { assertEachHasItsHook, hookRowOf, hookRows } from '../support/gitlab-hook-assertions.ts';
import { makeDue, renew, startHookWorld } from '../support/gitlab-hook-world.ts';

const nothing = (): void => undefined;
const quiet = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

type World = Awaited<ReturnType<typeof startHookWorld>>;
type Installer = ReturnType<typeof createInstaller>;

let world: World;
let installer: Installer;
let projects: Project[];
beforeAll(async () => {
  world = await startHookWorld();
  installer = createInstaller(world);
});
afterAll(async () => {
  await installer.close();
  await world.stop();
});
beforeEach(async () => {
  projects = await renew(world, 60);
});

/** What there is to see to, and a request that sees to it. */
async function listed({ activities }: Installer = installer) {
  const at = new Date().toISOString();
  const identify = (): Promise<GitlabIdentity | Interruption> => activities.identify();
  const identity = await new MockActivityEnvironment().run<[], GitlabIdentity | Interruption, typeof identify>(
    identify,
  );
  if ('endedEarly' in identity) throw new Error('GitLab refused');
  await new MockActivityEnvironment().run(() => activities.listPage(identity, at));
  return { runId: crypto.randomUUID(), userId: identity.userId, at };
}

const posts = () => world.gitlab.requests.filter(({ method }) => method === 'POST').length;

/** What is under way when it says that it has ended would go on beside whoever does it again. */
async function assertAllIsQuiet(): Promise<void> {
  const requests = world.gitlab.requestCount;
  await sleep(300);
  expect(world.gitlab.requestCount).toBe(requests);
}

describe('G10: a page', () => {
  test('shows that it lives after each repository', async () => {
    const request = await listed();
    const environment = new MockActivityEnvironment();
    const heartbeats: unknown[] = [];
    environment.on('heartbeat', (details) => heartbeats.push(details));
    expect(await environment.run(() => installer.activities.installPage(request))).toMatchObject({ done: 60 });
    expect(heartbeats.length).toBeGreaterThanOrEqual(60);
  });

  test('does nothing more once it was cancelled, and the next one does the rest', async () => {
    const request = await listed();
    const environment = new MockActivityEnvironment();
    const cancel = {
      do: () => {
        environment.cancel();
      },
      when: 'after',
    } as const;
    world.gitlab.faults.add({ method: 'POST', path: /hooks$/, from: 20, times: 1, fault: cancel });
    await expect(environment.run(() => installer.activities.installPage(request))).rejects.toThrow('CANCELLED');
    await assertAllIsQuiet();
    const states = (await hookRows(world.db)).map(({ state }) => state);
    expect(states.filter((state) => state === 'pending').length).toBeGreaterThanOrEqual(40);
    expect(new Set(states)).toEqual(new Set(['installed', 'pending']));
    await new MockActivityEnvironment().run(() => installer.activities.installPage(request));
    await assertEachHasItsHook(world, projects);
    expect(posts()).toBe(60);
  });

  test('does nothing more once it has failed by a fault of ours', async () => {
    let sealed = 0;
    const sealer = {
      ...world.sealer,
      seal(plain: string) {
        if (++sealed === 10) throw new Error('the key is gone');
        return world.sealer.seal(plain);
      },
    };
    const broken = createInstaller({ ...world, sealer });
    const request = await listed(broken);
    const work = new MockActivityEnvironment().run(() => broken.activities.installPage(request));
    await expect(work).rejects.toMatchObject({ type: 'GitLabHooksRetry', message: 'Error: the key is gone' });
    await assertAllIsQuiet();
    await broken.close();
    expect(posts()).toBeLessThan(20);
  });
});

describe('G7: a GitLab that is away', () => {
  test('is not asked for every repository; what was in hand stays pending, and Temporal is to try again', async () => {
    const request = await listed();
    await world.gitlab.goAway();
    const work = new MockActivityEnvironment({}, { logger: quiet }).run(() =>
      installer.activities.installPage(request),
    );
    await expect(work).rejects.toMatchObject({ type: 'GitLabFault', nonRetryable: false });
    await world.gitlab.comeBack();
    const rows = await hookRows(world.db);
    const tried = rows.filter(({ failures }) => failures > 0);
    expect(tried.length).toBeGreaterThanOrEqual(10);
    expect(tried.length).toBeLessThan(10 + hooksInHand(4));
    for (const row of rows) expect(row).toMatchObject({ state: 'pending', gitlab_hook_id: null });
    for (const { reason } of tried) expect(reason).toMatch(/^GitLab could not be reached: /);
    // Again, in the same run: the rest; those that were tried are for the next one.
    const again = await new MockActivityEnvironment().run(() => installer.activities.installPage(request));
    expect(again).toMatchObject({ done: 60 - tried.length, remaining: 0 });
    expect(await installer.run()).toMatchObject({ installed: tried.length, remaining: 0 });
    await assertEachHasItsHook(world, projects);
  });

  test('fails what has to be known first, and says so in a sentence', async () => {
    await world.gitlab.goAway();
    await expect(installer.run()).rejects.toMatchObject({
      type: 'GitLabFault',
      nonRetryable: false,
      message: expect.stringMatching(/^GitLab could not be reached: /) as string,
    });
    await world.gitlab.comeBack();
    expect(await installer.run()).toMatchObject({ installed: 60 });
  });
});

test('G10: two workers at the same page do nothing twice', async () => {
  const other = createInstaller(world);
  const request = await listed();
  world.gitlab.latencyMs = 5;
  const pages = await Promise.all(
    [installer, other].map(({ activities }) =>
      new MockActivityEnvironment().run(() => activities.installPage(request)),
    ),
  );
  world.gitlab.latencyMs = 0;
  await other.close();
  expect(pages.map((page) => (page as InstalledPage).interruption)).toEqual([null, null]);
  await new MockActivityEnvironment().run(() => installer.activities.installPage(request));
  expect(posts()).toBe(60);
  await assertEachHasItsHook(world, projects);
});

test('G7: a stored secret that our key does not open is an error of that hook alone, and mended by the right key', async () => {
  await installer.run();
  const [broken, ...others] = projects as [Project, ...Project[]];
  const { id, secret_sealed: sealed } = await hookRowOf(world, broken);
  const seal = (bytes: Buffer | null) =>
    world.db.updateTable('gitlab_hooks').set({ secret_sealed: bytes }).where('id', '=', id).execute();
  await seal(Buffer.alloc(60));
  world.gitlab.editHook(world.gitlab.hooksOf(broken)[0]!, { push_events: false });
  await makeDue(world.db);
  expect(await installer.run()).toMatchObject({ endedEarly: null, failed: 1, verified: 59, remaining: 0 });
  expect(await hookRowOf(world, broken)).toMatchObject({
    state: 'error',
    reason: expect.stringContaining('SECRETS_KEY') as string,
  });
  await assertEachHasItsHook(world, others);
  await seal(sealed);
  await makeDue(world.db);
  expect(await installer.run()).toMatchObject({ repaired: 1, failed: 0 });
  await assertEachHasItsHook(world, projects);
});
