import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { InstallResult } from '../../src/domain/install-run.ts';
import { createInstaller } from '../support/gitlab-activities.ts';
import type { Project } from '../support/gitlab/index.ts';
import { assertEachHasItsHook } from '../support/gitlab-hook-assertions.ts';
import { renew, startHookWorld } from '../support/gitlab-hook-world.ts';

const MINUTE = 60_000;

let world: Awaited<ReturnType<typeof startHookWorld>>;
let projects: Project[];
beforeAll(async () => {
  world = await startHookWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  projects = await renew(world, 60);
});

/** Run after run, each in a minute of its own, until one ends with nothing left to do. */
async function runOn(installer: ReturnType<typeof createInstaller>): Promise<InstallResult[]> {
  const results: InstallResult[] = [];
  while (results.length < 20) {
    const result = await installer.run();
    results.push(result);
    if (result.endedEarly === null) break;
    world.gitlab.clock.advance(MINUTE);
  }
  await installer.close();
  return results;
}

describe('G4: the reserve', () => {
  test('ends the run before GitLab has to refuse, and the next one goes on', async () => {
    const { gitlab } = world;
    gitlab.rateLimit.set({ limit: 120 });
    const refused = gitlab.rateLimit.refused;
    const results = await runOn(createInstaller({ ...world, settings: { GITLAB_RATE_LIMIT_RESERVE: '50' } }));
    expect(results.length).toBeGreaterThan(2);
    for (const { endedEarly, retryAt } of results.slice(0, -1)) {
      expect(endedEarly).toBe('rate_limited');
      expect(Date.parse(retryAt!)).toBeGreaterThan(Date.now());
    }
    expect(results.reduce((sum, { installed }) => sum + installed, 0)).toBe(60);
    expect(gitlab.rateLimit.refused).toBe(refused);
    await assertEachHasItsHook(world, projects);
  });

  test('that is larger than the limit leaves half of it to the installer', async () => {
    const { gitlab } = world;
    gitlab.rateLimit.set({ limit: 120 });
    const refused = gitlab.rateLimit.refused;
    const results = await runOn(createInstaller({ ...world, settings: { GITLAB_RATE_LIMIT_RESERVE: '5000' } }));
    expect(results.at(-1)).toMatchObject({ endedEarly: null, remaining: 0 });
    for (const { installed } of results.slice(0, -1)) expect(installed).toBeGreaterThan(0);
    expect(gitlab.rateLimit.refused).toBe(refused);
    await assertEachHasItsHook(world, projects);
  });

  test('of 0 waits for the refusal', async () => {
    const { gitlab } = world;
    gitlab.rateLimit.set({ limit: 100 });
    const refused = gitlab.rateLimit.refused;
    const results = await runOn(createInstaller({ ...world, settings: { GITLAB_RATE_LIMIT_RESERVE: '0' } }));
    expect(gitlab.rateLimit.refused).toBeGreaterThan(refused);
    expect(results.at(-1)).toMatchObject({ endedEarly: null, remaining: 0 });
    await assertEachHasItsHook(world, projects);
  });
});

describe('G4: a GitLab that tells of its limit only when it refuses', () => {
  test('is asked for nothing but who we are while it refuses, and then the run goes on', async () => {
    const { gitlab } = world;
    const installer = createInstaller(world);
    gitlab.rateLimit.refuse({ at: 50, forSeconds: 3_600 });
    const first = await installer.run();
    expect(first).toMatchObject({ endedEarly: 'rate_limited' });
    expect(Date.parse(first.retryAt!)).toBeGreaterThan(Date.now());
    gitlab.forgetRequests();
    expect(await installer.run()).toMatchObject({ endedEarly: 'rate_limited', installed: 0 });
    expect(gitlab.requests.map(({ path }) => path)).toEqual(['/user']);
    gitlab.rateLimit.allow();
    expect(await installer.run()).toMatchObject({ endedEarly: null, installed: first.remaining, remaining: 0 });
    await installer.close();
    await assertEachHasItsHook(world, projects);
  });

  test('or not even then: the run ends all the same, and the next one goes on', async () => {
    const { gitlab } = world;
    const installer = createInstaller(world);
    gitlab.rateLimit.refuse({ at: 50, bare: true });
    const first = await installer.run();
    expect(first).toMatchObject({ endedEarly: 'rate_limited', retryAt: null });
    gitlab.rateLimit.allow();
    expect(await installer.run()).toMatchObject({ endedEarly: null, installed: first.remaining, remaining: 0 });
    await installer.close();
    await assertEachHasItsHook(world, projects);
  });
});
