import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Fault } from './gitlab/index.ts';
import { act, type Deed, deed, type Stage } from './gitlab-deeds.ts';

// What may happen between GitLab, its people and the installer, as data that fast-check can shrink and print.

const REQUESTS = {
  account: { path: /^\/user$/ },
  listing: { method: 'GET', path: /^\/(projects|groups\/\d+\/projects)\?/ },
  members: { path: /\/members\// },
  hooks: { method: 'GET', path: /\/hooks\?/ },
  create: { method: 'POST', path: /\/hooks$/ },
  update: { method: 'PUT', path: /\/hooks\/\d+$/ },
  delete: { method: 'DELETE', path: /\/hooks\/\d+$/ },
  test: { method: 'POST', path: /\/test\// },
  any: {},
} as const;

const FAULTS = {
  'lost before the work': 'reset',
  'lost after the work': 'lostAnswer',
  '502 before the work': { status: 502 },
  '502 after the work': { statusAfterWork: 502 },
  'no answer': 'hang',
  'no answer after the work': 'hangAfterWork',
  'late work': { slow: 300 },
  truncated: 'truncated',
  'broken off': 'brokenOff',
  'login page': 'html',
  'not JSON': { instead: 'It works!' },
  '403': { status: 403, body: { message: '403 Forbidden' } },
  '404': { status: 404, body: { message: '404 Not found' } },
  '422': { status: 422, body: { error: 'Url is blocked' } },
  '401': { status: 401, body: { message: '401 Unauthorized' } },
  '429': { status: 429, body: 'Retry later\n', headers: { 'Retry-After': '30' } },
} as const satisfies Record<string, Fault>;

/** Of the installer that meets these faults, so that a request that is too late is one soon; `late work` takes longer. */
export const IMPATIENCE_MS = 150;
const ALL_LATE_WORK_MS = 400;

const keysOf = <K extends string>(of: Record<K, unknown>) => fc.constantFrom(...(Object.keys(of) as K[]));

const fault = fc.record({
  on: keysOf(REQUESTS),
  from: fc.integer({ min: 1, max: 6 }),
  times: fc.integer({ min: 1, max: 3 }),
  what: keysOf(FAULTS),
});

interface RunHappening {
  what: 'run';
  hoursLater: number;
  faults: { on: keyof typeof REQUESTS; from: number; times: number; what: keyof typeof FAULTS }[];
  /** Another run, of a single repository, beside it. */
  beside: number | null;
  /** Cancelled at this request, before or after its work. */
  cancelled: { at: number; when: 'before' | 'after' } | null;
}

const run: fc.Arbitrary<RunHappening> = fc.record({
  what: fc.constant('run' as const),
  hoursLater: fc.constantFrom(0, 0, 2, 25),
  faults: fc.array(fault, { maxLength: 3 }),
  beside: fc.option(fc.nat({ max: 20 })),
  cancelled: fc.option(
    fc.record({ at: fc.integer({ min: 1, max: 25 }), when: fc.constantFrom('before' as const, 'after' as const) }),
  ),
});

export const happenings = ({ most = 12 } = {}): fc.Arbitrary<Happening[]> =>
  fc.array(fc.oneof({ weight: 2, arbitrary: run }, { weight: 3, arbitrary: deed }), { minLength: 1, maxLength: most });

export type Happening = RunHappening | Deed;

export interface Scene extends Stage {
  run(options: RunOptions): Promise<unknown>;
  /** By the workflow's clock. */
  now: number;
}

export interface RunOptions {
  at: Date;
  hoursLater: number;
  repository?: string;
  /** Cancels the run when it aborts. */
  signal?: AbortSignal;
}

export async function happen(scene: Scene, happening: Happening): Promise<void> {
  if (happening.what === 'run') await runOnce(scene, happening);
  else act(scene, happening);
}

async function runOnce(scene: Scene, { hoursLater, faults, beside, cancelled }: RunHappening): Promise<void> {
  const { gitlab, projects } = scene;
  scene.now += hoursLater * 3_600_000;
  const at = new Date(scene.now);
  for (const { on, from, times, what } of faults)
    gitlab.faults.add({ ...REQUESTS[on], from, times, fault: FAULTS[what] });
  const aborting = new AbortController();
  if (cancelled !== null) {
    const cancel = (): void => {
      aborting.abort();
    };
    gitlab.faults.add({ from: cancelled.at, times: 1, fault: { do: cancel, when: cancelled.when } });
  }
  const other = beside === null ? undefined : projects[beside % Math.max(1, projects.length)];
  // That a run fails is to be expected here.
  await Promise.allSettled([
    scene.run({ at, hoursLater, signal: aborting.signal }),
    other && scene.run({ at, hoursLater, repository: other.path }),
  ]);
  gitlab.faults.clear();
}

/** What was asked of GitLab and not waited for, as by a run that was cancelled, may still come true. */
export async function untilLateWorkIsDone(sequence: readonly Happening[]): Promise<void> {
  const isLate = sequence.some((one) => one.what === 'run' && one.faults.some(({ what }) => what === 'late work'));
  if (isLate) await sleep(ALL_LATE_WORK_MS);
}

/** Everything back as it has to be for every repository to be reachable. */
export function makePeace({ gitlab, projects }: Stage, level: number): void {
  gitlab.faults.clear();
  gitlab.settings.hookLimits.project = 100;
  gitlab.addMember(gitlab.root, gitlab.bot, level);
  for (const project of projects) gitlab.changeProject(project, { archived: false });
}
