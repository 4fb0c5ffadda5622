import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hookUrl } from '../../src/domain/hook-url.ts';
import { eventually } from '../support/eventually.ts';
import { assertEachHasItsHook, assertEventsArrive, hookRowOf, hookRows } from '../support/gitlab-hook-assertions.ts';
import { makeDue, renew } from '../support/gitlab-hook-world.ts';
import { type InstallerEnvironment, startInstallerEnvironment } from '../support/gitlab-installer.ts';
import { assertNoSecretShows } from '../support/gitlab-secrets.ts';
import type { Gitlab, Hook, Project } from '../support/gitlab/index.ts';

const HOUR = 3_600_000;

let world: InstallerEnvironment;
let gitlab: Gitlab;
beforeAll(async () => {
  world = await startInstallerEnvironment({ settings: { GITLAB_VERIFY_HOURS: '36' } });
  ({ gitlab } = world);
});
afterAll(() => world.stop());

const hookIn = (project: Project): Hook => gitlab.hooksOf(project)[0]!;
const requests = () => gitlab.requests.map(({ method, path }) => `${method} ${path.replace(/\?.*/, '')}`);

describe('G5: hooks that were installed are looked at again', () => {
  beforeEach(async () => {
    await renew(world, 12);
    expect(await world.run()).toMatchObject({ installed: 12 });
    gitlab.forgetRequests();
  });
  const projects = () => [...gitlab.root.projects];

  test('after GITLAB_VERIFY_HOURS, and not before; one that is right costs one request', async () => {
    for (const { due_at: dueAt, last_checked_at: checkedAt } of await hookRows(world.db)) {
      expect(dueAt.getTime() - checkedAt!.getTime()).toBe(36 * HOUR);
    }
    expect(await world.run()).toMatchObject({ verified: 0, remaining: 0 });
    expect(requests().filter((request) => request.includes('/hooks'))).toEqual([]);
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ verified: 12, repaired: 0, remaining: 0 });
    expect(requests().filter((request) => !/\/(user|projects)$/.test(request)).length).toBe(12);
    expect(requests().filter((request) => request.startsWith('GET')).length).toBe(requests().length);
  });

  test('whatever is not right any more is put right, and of the others none is touched', async () => {
    const changes: [what: string, change: (hook: Hook) => void][] = [
      [
        'is gone',
        (hook) => {
          gitlab.removeHook(hook);
        },
      ],
      [
        'points elsewhere',
        (hook) => {
          gitlab.editHook(hook, { url: 'https://example.com/elsewhere' });
        },
      ],
      [
        'tells of less',
        (hook) => {
          gitlab.editHook(hook, { push_events: false });
        },
      ],
      [
        'tells of more',
        (hook) => {
          gitlab.editHook(hook, { wiki_page_events: true });
        },
      ],
      [
        'does not check certificates',
        (hook) => {
          gitlab.editHook(hook, { enable_ssl_verification: false });
        },
      ],
      [
        'tells of some branches alone',
        (hook) => {
          gitlab.editHook(hook, { push_events_branch_filter: 'main' });
        },
      ],
      [
        'has no name',
        (hook) => {
          gitlab.editHook(hook, { name: null });
        },
      ],
      [
        'does not say which secret it has',
        (hook) => {
          gitlab.editHook(hook, { description: 'mine' });
        },
      ],
      [
        'is there twice',
        ({ owner, url }) => {
          gitlab.addHook(owner, { url, token: 'by hand' });
        },
      ],
      [
        'is one that somebody made instead',
        (hook) => {
          gitlab.removeHook(hook);
          gitlab.addHook(hook.owner, { url: hook.url, token: 'by hand' });
        },
      ],
    ];
    changes.forEach(([, change], index) => {
      change(hookIn(projects()[index]!));
    });
    const elsewhere = gitlab.addHook(projects()[0]!, { url: 'https://chat.example.com/', token: 'chat' });
    const untouched = projects().slice(changes.length).map(hookIn);
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ repaired: changes.length, verified: 2, failed: 0, blocked: 0 });
    await assertEachHasItsHook(world, projects());
    await assertEventsArrive(world, projects());
    expect(projects().slice(changes.length).map(hookIn)).toEqual(untouched);
    expect(gitlab.hooksOf(projects()[0]!)).toContainEqual(elsewhere);
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ verified: 12, repaired: 0 });
  });

  test('a token that somebody changed is found once GitLab has disabled the hook for it, and enabled again', async () => {
    const [project, moved] = projects() as [Project, Project];
    gitlab.editHook(hookIn(project), { token: 'by hand' });
    // GitLab forgets the token with that, and no list shows it.
    const { url } = hookIn(moved);
    gitlab.editHook(hookIn(moved), { url: 'https://example.com/elsewhere' });
    gitlab.editHook(hookIn(moved), { url });
    for (const one of [project, moved]) {
      for (let failures = 0; failures < 4; failures++) {
        expect((await gitlab.emit(one, 'push_events')).map(({ status }) => status)).toEqual([401]);
      }
      expect(gitlab.alertStatusOf(hookIn(one))).toBe('temporarily_disabled');
    }
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ repaired: 2, verified: 10 });
    expect(gitlab.alertStatusOf(hookIn(project))).toBe('executable');
    await assertEachHasItsHook(world, projects());
    await assertEventsArrive(world, projects());
  });

  test('one that GitLab has disabled shows as such while a test send does not get through, and is enabled by one that does', async () => {
    const [empty, limited, fine] = projects() as [Project, Project, Project];
    for (const project of [empty, limited, fine]) gitlab.disableHook(hookIn(project), 'disabled');
    gitlab.changeProject(empty, { empty: true }); // GitLab has nothing to send a test of
    const tooMany = { error: 'This endpoint has been requested too many times. Try again later.' };
    const path = new RegExp(`^/projects/${limited.id}/hooks/.*/test/`);
    gitlab.faults.add({ path, fault: { status: 429, body: tooMany, headers: { 'Retry-After': '60' } } });
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ endedEarly: null, repaired: 3, failed: 0, blocked: 0 });
    expect(gitlab.alertStatusOf(hookIn(fine))).toBe('executable');
    for (const project of [empty, limited]) {
      expect(gitlab.alertStatusOf(hookIn(project))).toBe('disabled');
      expect(await hookRowOf(world, project)).toMatchObject({ state: 'installed', alert_status: 'disabled' });
    }
    const { repositories } = await world.forgeflow.gitlab.status();
    expect(repositories).toMatchObject({ installed: 12, disabled: 2 });

    gitlab.faults.clear();
    gitlab.changeProject(empty, { empty: false });
    await makeDue(world.db);
    expect(await world.run()).toMatchObject({ repaired: 2, verified: 10 });
    expect((await world.forgeflow.gitlab.status()).repositories).toMatchObject({ installed: 12, disabled: 0 });
    await assertEventsArrive(world, projects());
  });

  test('G8: a GitLab that knows no names, descriptions and headers gets hooks all the same, and they stay as they are', async () => {
    gitlab.settings.version = '16.9.0';
    try {
      const [old] = await renew(world, 3);
      expect(await world.run()).toMatchObject({ installed: 3 });
      expect(hookIn(old!)).toMatchObject({ url: hookUrl(world.ingressUrl), name: null, description: null });
      await makeDue(world.db);
      expect(await world.run()).toMatchObject({ verified: 3, repaired: 0 });
      await assertEventsArrive(world, projects());
    } finally {
      gitlab.settings.version = '18.5.1';
    }
  });
});

test('no token shows in histories or records', async () => {
  await eventually(() => assertNoSecretShows(world));
});
