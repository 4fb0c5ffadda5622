import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertEachHasItsHook, hookRows } from '../support/gitlab-hook-assertions.ts';
import { renew } from '../support/gitlab-hook-world.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import type { Gitlab } from '../support/gitlab/index.ts';

const CONCURRENCY = 3;

let world: InstallerEnvironment;
let gitlab: Gitlab;
beforeAll(async () => {
  world = await startInstallerEnvironment({ settings: { GITLAB_CONCURRENCY: String(CONCURRENCY) } });
  ({ gitlab } = world);
});
afterAll(() => world.stop());

const posts = () => gitlab.requests.filter(({ method }) => method === 'POST').length;

describe('G1: runs', () => {
  test('several that are wanted at once are one', async () => {
    const projects = await renew(world, 30);
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    gitlab.faults.add({ path: /^\/user$/, fault: { do: () => held, when: 'before' } });
    const begun = new Set<number>();
    const wanted = [1, 2, 3].map((number) =>
      world.forgeflow.installWebhooks({
        onProgress: (progress) => {
          if (progress.begun) begun.add(number);
          if (begun.size === 3) letGo();
        },
      }),
    );
    const results = await Promise.all(wanted);
    expect(new Set(results.map(({ runId }) => runId)).size).toBe(1);
    expect(results[0]).toMatchObject({ installed: 30, remaining: 0, endedEarly: null });
    await assertEachHasItsHook(world, projects);
    expect(posts()).toBe(30);
    const next = await world.forgeflow.installWebhooks();
    expect(next.runId).not.toBe(results[0]!.runId);
    expect(next).toMatchObject({ installed: 0, verified: 0, remaining: 0 });
  });

  test('one repository alone: one that is known, due or not, one that is new, and one that is not there', async () => {
    const [known, fresh] = await renew(world, 2);
    expect(await world.forgeflow.installWebhooks({ repository: known!.path })).toMatchObject({ installed: 1 });
    expect(await world.forgeflow.installWebhooks({ repository: known!.path })).toMatchObject({ verified: 1 });
    await assertEachHasItsHook(world, [known!]);
    expect((await hookRows(world.db)).length).toBe(1);
    expect(await world.forgeflow.installWebhooks({ repository: fresh!.path.toUpperCase() })).toMatchObject({
      installed: 1,
      remaining: 0,
    });
    await assertEachHasItsHook(world, [known!, fresh!]);
    await expect(world.forgeflow.installWebhooks({ repository: 'acme/nothing' })).rejects.toMatchObject({
      kind: 'not_found',
      message: expect.stringContaining('acme/nothing') as string,
    });
  });

  test('G10: a run and those of single repositories beside it share their places, and do nothing twice', async () => {
    const projects = await renew(world, 40);
    gitlab.latencyMs = 10;
    gitlab.forgetRequests();
    const { result } = await world.start();
    const alone = await Promise.all(projects.slice(0, 5).map(({ path }) => world.run({ repository: path })));
    const all = await result;
    gitlab.latencyMs = 0;
    await assertEachHasItsHook(world, projects);
    expect(posts()).toBe(40);
    expect(all).toMatchObject({ endedEarly: null, failed: 0, blocked: 0 });
    for (const one of alone) expect(one.installed + one.verified).toBe(1);
  });

  test('G10: no more than GITLAB_CONCURRENCY requests are under way at once', async () => {
    const projects = await renew(world, 40);
    gitlab.latencyMs = 10;
    expect(await world.run()).toMatchObject({ installed: 40 });
    gitlab.latencyMs = 0;
    expect(gitlab.mostRequestsAtOnce).toBe(CONCURRENCY);
    await assertEachHasItsHook(world, projects);
  });

  test('G10: the history of a run is the same for a page of one and a page of a hundred', async () => {
    const lengths: number[] = [];
    for (const count of [10, 100]) {
      await renew(world, count);
      const { handle, result } = await world.start();
      expect(await result).toMatchObject({ installed: count });
      lengths.push((await handle.describe()).historyLength);
    }
    expect(lengths[1]! - lengths[0]!).toBeLessThanOrEqual(6); // one more page of the listing
    expect(lengths[1]).toBeLessThan(60);
  });

  test('one that somebody cancels ends, and the records say so, and exactly what it has done', async () => {
    const projects = await renew(world, 120);
    const { handle, result } = await world.start();
    const cancel = { do: () => handle.cancel(), when: 'after' } as const;
    gitlab.faults.add({ method: 'POST', path: /\/hooks$/, from: 20, times: 1, fault: cancel });
    await expect(result).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const { lastRun, repositories } = await world.forgeflow.gitlab.status();
    expect(repositories.pending).toBeGreaterThanOrEqual(20); // the second page
    expect(lastRun).toMatchObject({
      endedEarly: null,
      error: expect.stringMatching(/cancelled/i) as string,
      installed: repositories.installed,
      remaining: repositories.pending,
    });
    expect(lastRun!.finishedAt).not.toBeNull();
    expect(await world.run()).toMatchObject({ failed: 0, remaining: 0 });
    await assertEachHasItsHook(world, projects);
    expect(posts()).toBe(120);
  });
});
