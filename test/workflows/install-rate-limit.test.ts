import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InstallResult } from '../../src/domain/install-run.ts';
import type { Gitlab, Project } from '../support/gitlab/index.ts';
import { assertEachHasItsHook, hookRows } from '../support/gitlab-hook-assertions.ts';
import { renew } from '../support/gitlab-hook-world.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';

const CONCURRENCY = 4;
/** Never in a test's lifetime, and so high that its headers tell of no want. */
const PLENTY = { limit: 1_000_000 };

let world: InstallerEnvironment;
beforeAll(async () => {
  world = await startInstallerEnvironment({ settings: { GITLAB_CONCURRENCY: String(CONCURRENCY) } });
});
afterAll(() => world.stop());

const seenTo = ({ installed, verified, adopted, repaired, covered, blocked, failed }: InstallResult): number =>
  installed + verified + adopted + repaired + covered + blocked + failed;

const posts = ({ requests }: Gitlab) =>
  requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/hooks'));

/** Who was refused, and came after that: of those already under way there is at most one in each of the other places. */
function assertNothingAfterTheRefusal({ requests }: Gitlab): void {
  const first = requests.findIndex(({ status }) => status === 429);
  expect(first).toBeGreaterThanOrEqual(0);
  const after = requests.slice(first + 1).map(({ status }) => status);
  expect(after.every((status) => status === 429)).toBe(true);
  expect(after.length).toBeLessThan(CONCURRENCY);
}

/** What a run that is refused has done is right, and the rest is due. */
async function assertEndedEarly(projects: readonly Project[], result: InstallResult): Promise<void> {
  expect(result.endedEarly).toBe('rate_limited');
  expect(Date.parse(result.retryAt ?? '')).toBeGreaterThan(Date.now());
  const rows = await hookRows(world.db);
  const installed = new Set(rows.filter(({ state }) => state === 'installed').map(({ owner_id: id }) => Number(id)));
  expect(installed.size).toBe(result.installed + result.adopted);
  const done = projects.filter(({ id }) => installed.has(id));
  await assertEachHasItsHook(world, done);
  expect(seenTo(result) + result.remaining).toBe(rows.length);
}

/** From a GitLab that comes to refuse everything to one that takes everything. */
async function refuseAndResume(count: number, refuse: (gitlab: Gitlab) => void): Promise<InstallResult[]> {
  const { gitlab } = world;
  const projects = await renew(world, count);
  gitlab.rateLimit.set(PLENTY);
  refuse(gitlab);
  const first = await world.run();
  assertNothingAfterTheRefusal(gitlab);
  await assertEndedEarly(projects, first);

  gitlab.faults.clear();
  gitlab.rateLimit.allow();
  gitlab.rateLimit.set(PLENTY);
  const second = await world.run();
  expect(second).toMatchObject({ endedEarly: null, retryAt: null, blocked: 0, failed: 0, repaired: 0, remaining: 0 });
  expect(seenTo(second)).toBe(count - first.installed - first.adopted);
  await assertEachHasItsHook(world, projects);
  const done = posts(gitlab).filter(({ status }) => status !== 429);
  expect(done.length, 'each was asked for once').toBe(count);
  return [first, second];
}

/** The n-th request of all. */
const atRequest = (n: number) => (gitlab: Gitlab) => {
  gitlab.rateLimit.refuse({ at: n, forSeconds: 3_600 });
};
const begin = ({ rateLimit }: Gitlab) => ({
  do: () => {
    rateLimit.refuse({ forSeconds: 3_600 });
  },
});
const MEMBER = { path: /\/members\// };
const LIST = { method: 'GET', path: /\/hooks\?/ };
const POST = { method: 'POST', path: /\/hooks$/ };
/** The n-th of a kind is refused. */
const at = (kind: typeof MEMBER | typeof LIST, n: number) => (gitlab: Gitlab) => {
  gitlab.faults.add({ ...kind, from: n, times: 1, fault: { ...begin(gitlab), when: 'before' } });
};
/** The n-th hook is made, and everything after that refused: what GitLab had done is still to be written down. */
const afterPost = (n: number) => (gitlab: Gitlab) => {
  gitlab.faults.add({ ...POST, from: n, times: 1, fault: { ...begin(gitlab), when: 'after' } });
};
/** The same, and we do not hear that it was made. */
const afterLostPost = (n: number) => (gitlab: Gitlab) => {
  afterPost(n)(gitlab);
  gitlab.faults.add({ ...POST, from: n, times: 1, fault: 'lostAnswer' });
};

describe('G4: a GitLab that refuses with 429 ends the run early, and the next one finishes', () => {
  test.each([
    ['request 1, who we are', atRequest(1)],
    ['the 101st look at a member, the first of the second page', at(MEMBER, 101)],
    ['the 130th list of hooks', at(LIST, 130)],
    ['the 201st POST, in the last page', at(POST, 201)],
    ['all after the 57th POST', afterPost(57)],
    ['all after the 222nd POST, whose answer is lost too', afterLostPost(222)],
  ])('250 repositories, refused: %s', async (_, refuse) => {
    await refuseAndResume(250, refuse);
  });

  // Who we are, two pages of the listing, of which the last is empty, and three for each.
  test.each([1, 2, 3, 4, 10, 19, 28, 37, 39])('12 repositories, refused: request %i', async (n) => {
    const [first] = await refuseAndResume(12, atRequest(n));
    expect(world.gitlab.requests.findIndex(({ status }) => status === 429)).toBe(n - 1);
    if (n <= 2) expect(first).toMatchObject({ installed: 0, remaining: 0 });
  });

  test.each([1, 6, 11])('12 repositories, refused: all after POST %i', async (n) => {
    const [first, second] = await refuseAndResume(12, afterPost(n));
    expect(first!.installed).toBeGreaterThanOrEqual(n);
    expect(second).toMatchObject({ adopted: 0 });
  });

  test.each([1, 6, 11])('G6: 12 repositories, refused: all after POST %i, whose answer is lost', async (n) => {
    const [first, second] = await refuseAndResume(12, afterLostPost(n));
    expect(first).toMatchObject({ failed: 1 });
    expect(second).toMatchObject({ adopted: 1 });
  });

  test('one refusal after another: a run for each, and each goes on where the last one stopped', async () => {
    const { gitlab } = world;
    const projects = await renew(world, 250);
    const results: InstallResult[] = [];
    for (let last: InstallResult | undefined; last?.endedEarly !== null;) {
      gitlab.rateLimit.allow();
      gitlab.rateLimit.set(PLENTY);
      atRequest(97)(gitlab);
      last = await world.run();
      results.push(last);
    }
    expect(results.length).toBeGreaterThan(7);
    expect(results.reduce((sum, result) => sum + result.installed, 0)).toBe(250);
    for (const result of results.slice(0, -1)) expect(result.endedEarly).toBe('rate_limited');
    await assertEachHasItsHook(world, projects);
  });

  test('the records say why the run ended, and when it goes on', async () => {
    await renew(world, 12);
    atRequest(20)(world.gitlab);
    const result = await world.run();
    const { lastRun, repositories } = await world.forgeflow.gitlab.status();
    expect(lastRun).toMatchObject({ ...result, error: null });
    expect(repositories).toMatchObject({ installed: result.installed, pending: 12 - result.installed });
  });
});
