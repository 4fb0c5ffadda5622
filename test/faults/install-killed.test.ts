import { describe, expect, test } from 'vitest';
import type { InstallResult } from '../../src/domain/install-run.ts';
import { eventually } from '../support/eventually.ts';
import { assertEachHasItsHook, assertEventsArrive, hookRows } from '../support/gitlab-hook-assertions.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import { assertNoSecretShows } from '../support/gitlab-secrets.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

// All at once, since they wait for Temporal most of the time: silence of 20 s tells it that a page's worker is dead, and
// after a minute of failures it gives up.
const PATIENCE_MS = 240_000;
const CONCURRENCY = 4;
const POST = { method: 'POST', path: /\/hooks$/ };

const seenTo = ({ installed, verified, adopted, repaired, blocked, failed }: InstallResult): number =>
  installed + verified + adopted + repaired + blocked + failed;

async function within<T>(
  options: Parameters<typeof startInstallerEnvironment>[0],
  work: (world: InstallerEnvironment, workers: WorkerProcess[]) => Promise<T>,
): Promise<T> {
  const world = await startInstallerEnvironment(options);
  const workers: WorkerProcess[] = [];
  return work(world, workers).finally(async () => {
    for (const worker of workers) {
      worker.kill('SIGKILL');
      await worker.ended;
    }
    await world.stop();
  });
}

/**
 * Starts a run at 250 repositories and kills its worker each time that GitLab has made one of these hooks, before we hear
 * of it; another worker comes then.
 */
async function runAndKill(
  world: InstallerEnvironment,
  workers: WorkerProcess[],
  { kills, atTheEnd }: { kills: readonly number[]; atTheEnd?: () => void },
) {
  const { gitlab, variables } = world;
  const projects = gitlab.addProjects(250);
  const start = async (): Promise<void> => {
    workers.push(await startWorkerProcess(variables));
  };
  const starting: Promise<void>[] = [];
  for (const n of kills) {
    const kill = async (): Promise<void> => {
      const worker = workers.at(-1)!;
      worker.kill('SIGKILL');
      expect(await worker.ended).toBe('SIGKILL');
      if (n === kills.at(-1)) atTheEnd?.();
      starting.push(start());
    };
    gitlab.faults.add({ ...POST, from: n, times: 1, fault: { do: kill, when: 'after' } });
  }
  await start();
  const { result } = await world.start();
  const first = await result;
  await Promise.all(starting);
  expect(workers.length).toBe(1 + kills.length);
  return {
    projects,
    first,
    posts: (): number =>
      gitlab.requests.filter(
        ({ method, path, status }) => method === 'POST' && path.endsWith('/hooks') && status !== 429,
      ).length,
  };
}

describe.concurrent('G4, G6, G10: 250 repositories and a worker that is killed between the POST and the write', () => {
  test.each([[[1]], [[137, 201]]])(
    'at POST %j: another one goes on, no repository has two hooks, and the counts are right',
    async (kills) => {
      await within({ withoutWorkers: true }, async (world, workers) => {
        const { projects, first, posts } = await runAndKill(world, workers, { kills });
        expect(first).toMatchObject({ endedEarly: null, remaining: 0, failed: 0, blocked: 0 });
        expect(seenTo(first)).toBe(250);
        expect(first.adopted).toBeGreaterThanOrEqual(kills.length);
        await assertEachHasItsHook(world, projects);
        await assertEventsArrive(world, projects.slice(0, 10));
        expect(posts()).toBeLessThanOrEqual(250 + kills.length * CONCURRENCY);
        await assertNoSecretShows(
          world,
          workers.map((worker) => worker.log()),
        );
      });
    },
    PATIENCE_MS,
  );

  test(
    'at the last POST, after which GitLab refuses: the run ends early, and the next one adopts the hook',
    async () => {
      await within({ withoutWorkers: true }, async (world, workers) => {
        const { gitlab } = world;
        const atTheEnd = (): void => {
          gitlab.rateLimit.refuse({ bare: true });
        };
        const { projects, first, posts } = await runAndKill(world, workers, { kills: [250], atTheEnd });
        expect(first).toMatchObject({ endedEarly: 'rate_limited', retryAt: null });
        expect(first.remaining).toBeGreaterThanOrEqual(1);
        expect(seenTo(first) + first.remaining).toBe(250);
        gitlab.rateLimit.allow();
        const second = await world.run();
        expect(second).toMatchObject({ endedEarly: null, remaining: 0, adopted: first.remaining });
        await assertEachHasItsHook(world, projects);
        expect(posts()).toBeLessThanOrEqual(250 + CONCURRENCY);
      });
    },
    PATIENCE_MS,
  );

  test(
    'G7: a GitLab that is away in mid-run is waited for; one that stays away fails the run, and nothing is lost',
    async () => {
      await within({}, async (world) => {
        const { gitlab, db, forgeflow } = world;
        const projects = gitlab.addProjects(60);
        const leave = (): void => void gitlab.goAway();
        gitlab.faults.add({ ...POST, from: 20, times: 1, fault: { do: leave, when: 'after' } });
        const { result } = await world.start();
        await eventually(async () => {
          const unanswered = (await hookRows(db)).filter(({ failures }) => failures > 0);
          expect(unanswered.length).toBeGreaterThanOrEqual(10);
          for (const row of unanswered) expect(row).toMatchObject({ state: 'pending', last_outcome: 'failed' });
        });
        await gitlab.comeBack();
        const survived = await result;
        expect(survived).toMatchObject({ endedEarly: null, remaining: 0, blocked: 0 });
        expect(survived.failed).toBeGreaterThanOrEqual(10);
        expect(seenTo(survived)).toBe(60);

        await gitlab.goAway();
        await expect(forgeflow.installWebhooks()).rejects.toThrow(/^GitLab could not be reached: /);
        const { lastRun, repositories } = await forgeflow.gitlab.status();
        expect(lastRun).toMatchObject({ endedEarly: null, remaining: survived.failed });
        expect(lastRun!.error).toMatch(/^GitLab could not be reached: /);
        expect(repositories).toMatchObject({ installed: 60 - survived.failed, pending: survived.failed });

        await gitlab.comeBack();
        expect(await forgeflow.installWebhooks()).toMatchObject({ failed: 0, remaining: 0 });
        await assertEachHasItsHook(world, projects);
      });
    },
    PATIENCE_MS,
  );
});
