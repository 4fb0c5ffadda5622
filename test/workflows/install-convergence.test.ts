import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hookUrl } from '../../src/domain/hook-url.ts';
import { assertEachHasItsHook, assertEventsArrive } from '../support/gitlab-hook-assertions.ts';
import { makeDue, renew } from '../support/gitlab-hook-world.ts';
import { happen, happenings, makePeace, type Scene, untilLateWorkIsDone } from '../support/gitlab-happenings.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import { MAINTAINER } from '../support/gitlab/index.ts';

const RUNS = Number(process.env['FORGEFLOW_PROPERTY_RUNS'] ?? 5);

let world: InstallerEnvironment;
beforeAll(async () => {
  world = await startInstallerEnvironment();
});
afterAll(() => world.stop());

let before: Scene | undefined;

async function startScene(count: number): Promise<Scene> {
  const { gitlab, ingressUrl, db } = world;
  for (const project of before?.projects ?? []) gitlab.deleteProject(project);
  before = {
    gitlab,
    hookUrl: hookUrl(ingressUrl),
    projects: await renew(world, count),
    now: 0, // the workflow's clock is Temporal's
    async run({ hoursLater, repository, signal }) {
      if (hoursLater >= 24) await makeDue(db);
      const { handle, result } = await world.start(repository === undefined ? {} : { repository });
      signal?.addEventListener('abort', () => void handle.cancel().catch(() => undefined));
      await result;
    },
  };
  return before;
}

// Without those that only a timeout of 30 s ends, or several retries of Temporal's.
const isQuick = (sequence: unknown): boolean => !/no answer|"(account|listing|any)"/.test(JSON.stringify(sequence));

test('G6, G7: after any sequence of faults, real runs, cancelled runs and hand edits, a run in peace leaves each its hook', async () => {
  await fc.assert(
    fc.asyncProperty(
      happenings({ most: 8 }).filter(isQuick),
      fc.integer({ min: 5, max: 8 }),
      async (sequence, count) => {
        const scene = await startScene(count);
        for (const happening of sequence) await happen(scene, happening);
        await untilLateWorkIsDone(sequence);
        makePeace(scene, MAINTAINER);
        await makeDue(world.db);
        expect(await world.run()).toMatchObject({ endedEarly: null, failed: 0, remaining: 0 });
        await assertEachHasItsHook(world, scene.projects);
        await assertEventsArrive(world, scene.projects);
      },
    ),
    { numRuns: RUNS, interruptAfterTimeLimit: 120_000 },
  );
}, 180_000);
