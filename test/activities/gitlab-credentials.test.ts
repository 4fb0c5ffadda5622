import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createInstaller } from '../support/gitlab-activities.ts';
import { assertEachHasItsHook, hookRowOf, hookRows } from '../support/gitlab-hook-assertions.ts';
import { makeDue, renew, startHookWorld } from '../support/gitlab-hook-world.ts';
import type { Gitlab, Project } from '../support/gitlab/index.ts';

let world: Awaited<ReturnType<typeof startHookWorld>>;
let gitlab: Gitlab;
let projects: Project[];
beforeAll(async () => {
  world = await startHookWorld();
  ({ gitlab } = world);
});
afterAll(() => world.stop());
beforeEach(async () => {
  projects = await renew(world, 6);
});

/** One run of an installer of its own. */
async function runOnce(parts: Partial<Parameters<typeof createInstaller>[0]> = {}) {
  const installer = createInstaller({ ...world, ...parts });
  return installer.run().finally(() => installer.close());
}

describe('a token that is no good', () => {
  const token = (create: () => string) => create;
  test.each([
    ['unknown', token(() => 'glpat-never-heard-of')],
    ['expired', token(() => gitlab.addToken(gitlab.bot, { expiresAt: gitlab.clock.now() - 1_000 }).value)],
    [
      'revoked',
      token(() => {
        const { value } = gitlab.addToken(gitlab.bot);
        gitlab.revokeToken(value);
        return value;
      }),
    ],
    ['of scope read_user', token(() => gitlab.addToken(gitlab.bot, { scopes: ['read_user'] }).value)],
    ['of scope read_api', token(() => gitlab.addToken(gitlab.bot, { scopes: ['read_api'] }).value)],
    [
      'of an account that is blocked',
      token(() => {
        const user = gitlab.addUser({ username: `blocked-${gitlab.clock.now()}` });
        gitlab.addMember(gitlab.root, user, 40);
        gitlab.blockUser(user);
        return gitlab.addToken(user).value;
      }),
    ],
  ])('%s: the run ends, nothing is changed in GitLab, and the next one with a good one goes on', async (_, create) => {
    expect(await runOnce()).toMatchObject({ installed: 6 });
    const fresh = gitlab.addProject({ path: `fresh-${gitlab.clock.now()}` });
    const before = projects.map((project) => gitlab.hooksOf(project));
    await makeDue(world.db);
    gitlab.forgetRequests();
    const bad = create();
    const result = await runOnce({ gitlab: { url: gitlab.url, token: bad } });
    expect(result).toMatchObject({ endedEarly: 'invalid_credentials', retryAt: null, repaired: 0, failed: 0 });
    expect(projects.map((project) => gitlab.hooksOf(project))).toEqual(before);
    expect(fresh.hooks.length).toBe(0);
    const rows = await hookRows(world.db);
    expect(rows.filter(({ state }) => state === 'installed').length).toBeGreaterThanOrEqual(6 - result.blocked);
    expect(rows.filter(({ state }) => state === 'invalid_credentials').length).toBe(result.blocked);
    for (const { reason } of rows) expect(reason ?? '').not.toContain(bad);

    expect(await runOnce()).toMatchObject({ endedEarly: null, installed: 1, blocked: 0, failed: 0, remaining: 0 });
    expect(await hookRowOf(world, fresh)).toMatchObject({ state: 'installed' });
    await assertEachHasItsHook(world, [...projects, fresh]);
    gitlab.deleteProject(fresh);
  });
});

describe('a setting that is missing', () => {
  test.each(['GITLAB_URL', 'GITLAB_TOKEN', 'INGRESS_URL'])(
    '%s: the run fails at once, and says which one it is',
    async (variable) => {
      const error: unknown = await runOnce({ settings: { [variable]: '' } }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ApplicationFailure);
      expect(error).toMatchObject({ type: 'SettingMissing', nonRetryable: true });
      expect((error as Error).message).toMatch(new RegExp(`^${variable}: it is not set`));
      expect(gitlab.requests.length).toBe(0);
    },
  );

  test('or a group that is not there: the run fails at once, and says so', async () => {
    const error: unknown = await runOnce({ settings: { GITLAB_GROUP: 'acme/nothing' } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ type: 'NotInGitLab', nonRetryable: true });
    expect((error as Error).message).toContain('acme/nothing');
  });
});
