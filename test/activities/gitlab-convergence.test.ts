import { MockActivityEnvironment } from '@temporalio/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { secretIdIn } from '../../src/domain/hook-marker.ts';
import { hookUrl } from '../../src/domain/hook-url.ts';
import { createInstaller } from '../support/gitlab-activities.ts';
import type { Hook } from '../support/gitlab/index.ts';
import { assertEachHasItsHook, assertEventsArrive, hooksOfOurs, hookRowOf } from '../support/gitlab-hook-assertions.ts';
import { renew, startHookWorld } from '../support/gitlab-hook-world.ts';
import {
  happen,
  happenings,
  IMPATIENCE_MS,
  untilLateWorkIsDone,
  makePeace,
  type Scene,
} from '../support/gitlab-happenings.ts';

/** Takes about a quarter of a second each; many more are worth it after a change of the installer. */
const RUNS = Number(process.env['FORGEFLOW_PROPERTY_RUNS'] ?? 12);
const DAY = 24 * 3_600_000;

type World = Awaited<ReturnType<typeof startHookWorld>>;

let world: World;
beforeAll(async () => {
  world = await startHookWorld();
});
afterAll(() => world.stop());

let before: Scene | undefined;

async function startScene(count: number, settings: Record<string, string>): Promise<Scene> {
  for (const project of before?.projects ?? []) world.gitlab.deleteProject(project);
  const projects = await renew(world, count);
  world.gitlab.settings.premium = false;
  world.gitlab.root.hooks = [];
  world.gitlab.addMember(world.gitlab.root, world.gitlab.bot, 50);
  const installer = createInstaller({ ...world, timeoutMs: IMPATIENCE_MS, settings });
  before = {
    gitlab: world.gitlab,
    hookUrl: hookUrl(world.ingressUrl),
    projects,
    now: Date.now(),
    async run({ at, repository, signal }) {
      const environment = new MockActivityEnvironment({}, { logger: SILENT });
      signal?.addEventListener('abort', () => {
        environment.cancel();
      });
      await installer.run({ at, environment, ...(repository !== undefined && { repository }) });
    },
  };
  return before;
}

const nothing = (): void => undefined;
const SILENT = { log: nothing, trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

const isMarked = ({ description }: Hook): boolean => secretIdIn(description) !== undefined;

function partition<T>(all: readonly T[], belongs: (one: T) => boolean): [T[], T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}

describe('G6, G7: after any sequence of faults, runs, cancelled runs and hand edits, a run in peace', () => {
  test('leaves each repository exactly one hook of ours, with the stored secret, and its events are accepted', async () => {
    const patient = createInstaller(world);
    await fc.assert(
      fc.asyncProperty(happenings(), fc.integer({ min: 1, max: 6 }), async (sequence, count) => {
        const scene = await startScene(count, {});
        for (const happening of sequence) await happen(scene, happening);
        await untilLateWorkIsDone(sequence);
        makePeace(scene, 40);
        const result = await patient.run({ at: new Date(scene.now + 2 * DAY) });
        expect(result).toMatchObject({ endedEarly: null, failed: 0, remaining: 0 });
        await assertEachHasItsHook(world, scene.projects);
        await assertEventsArrive(world, scene.projects);
        const again = await patient.run({ at: new Date(scene.now + 4 * DAY) });
        expect(again).toMatchObject({ verified: scene.projects.length, failed: 0, repaired: 0, adopted: 0 });
      }),
      { numRuns: RUNS },
    );
    await patient.close();
  });

  test('G9: with a group, by the one hook of the group or one for each, as this edition of GitLab has it', async () => {
    const settings = { GITLAB_GROUP: 'acme' };
    const patient = createInstaller({ ...world, settings });
    await fc.assert(
      fc.asyncProperty(happenings(), fc.integer({ min: 1, max: 4 }), fc.boolean(), async (sequence, count, premium) => {
        const scene = await startScene(count, settings);
        for (const happening of sequence) await happen(scene, happening);
        await untilLateWorkIsDone(sequence);
        makePeace(scene, 50);
        scene.gitlab.settings.premium = premium;
        for (const days of [2, 4]) {
          const result = await patient.run({ at: new Date(scene.now + days * DAY) });
          expect(result).toMatchObject({ endedEarly: null, failed: 0, remaining: 0 });
        }
        const { projects, gitlab } = scene;
        if (premium) {
          await assertEachHasItsHook(world, [gitlab.root]);
          for (const project of projects) {
            // What people made by hand in a project that is covered stays theirs.
            const [ours, others] = partition(hooksOfOurs(world, project), isMarked);
            others.forEach((hook) => {
              gitlab.removeHook(hook);
            });
            expect(ours.length, project.path).toBe(0);
            expect(await hookRowOf(world, project), project.path).toMatchObject({ state: 'covered' });
          }
        } else {
          await assertEachHasItsHook(world, projects);
        }
        await assertEventsArrive(world, projects);
      }),
      { numRuns: RUNS },
    );
    await patient.close();
  });
});
