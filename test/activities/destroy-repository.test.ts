import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createDestruction, type DestructionDependencies } from '../../activities/destroy-repository.ts';
import { createGitlabAccess, type GitlabAccess } from '../../activities/gitlab-access.ts';
import type { ArtefactCache } from '../../src/cache/artefact-cache.ts';
import { FolderCache } from '../../src/cache/folder-cache.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { findHookOfRepository, withHookLock } from '../../src/database/gitlab-hooks.ts';
import { requestJobs } from '../../src/database/job-requests.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { createGitlabClient, type GitlabClient } from '../../src/gitlab/client.ts';
import { putText } from '../cache/cache-contract.ts';
import { install } from '../database/hook-rows.ts';
import { eventually } from '../support/eventually.ts';
import { createInstaller } from '../support/gitlab-activities.ts';
import type { Project } from '../support/gitlab/index.ts';
import { configOf, type MergeWorld, startMergeWorld } from '../support/merge-world.ts';
import { testSealer } from '../support/records.ts';
import { countRows, fillRepository } from '../support/repository-rows.ts';

const INGRESS_URL = 'http://127.0.0.1:8088';
let world: MergeWorld;
let cache: FolderCache;
let access: GitlabAccess;
beforeAll(async () => {
  world = await startMergeWorld();
  cache = new FolderCache(join(world.storage, 'cache'));
  access = accessWith({ INGRESS_URL });
  // Somebody else's, of which all is to stay.
  const { id } = await world.addRepository('neighbour');
  await fillRepository(world.db, id);
  await putText(cache, id, 'a', 'x');
});
afterAll(async () => {
  await access.close();
  await world.stop();
});
afterEach(() => {
  world.gitlab.faults.clear();
  world.gitlab.rateLimit.allow();
});

function accessWith(settings: Record<string, string>): GitlabAccess {
  const { gitlab, storage, database } = world;
  return createGitlabAccess(configOf({ gitlab, storage, databaseUrl: database.url }, settings), (where) =>
    createGitlabClient({ ...where, timeoutMs: 2_000 }),
  );
}

interface Kept {
  id: number;
  project: Project;
  /** The rows that there were without it. */
  others: Record<string, number>;
}

let count = 0;

/** Users are nobody's, and stay. */
async function rowsOfRepositories(): Promise<Record<string, number>> {
  return Object.fromEntries(Object.entries(await countRows(world.db)).filter(([table]) => table !== 'users'));
}

/** A repository with everything that one can have; it has its webhook as from an installer. */
async function repositoryWithAll(): Promise<Kept> {
  const { db, gitlab } = world;
  const others = await rowsOfRepositories();
  const { id, project } = await world.addRepository(`doomed-${++count}`);
  await fillRepository(db, id);
  const { id: gitlabHookId } = gitlab.addHook(project, { url: `${INGRESS_URL}/gitlab/events` });
  gitlab.addHook(project, { url: 'https://ci.example.com/hook' }); // somebody else's
  const hook = await findHookOfRepository(db, id);
  await install(db, hook!.id, { gitlabHookId });
  await mkdir(join(world.storage, 'repositories', `${id}.git`, 'objects'), { recursive: true });
  await putText(cache, id, 'a', 'x');
  return { id, project, others };
}

/** What there is of it, anywhere but in Temporal. */
async function leftOf({ id, project }: Kept) {
  return {
    rows: await rowsOfRepositories(),
    clone: existsSync(join(world.storage, 'repositories', `${id}.git`)),
    artefacts: existsSync(join(world.storage, 'cache', String(id))),
    hooks: world.gitlab.hooksOf(project).map(({ url }) => url),
  };
}
const nothing = ({ others }: Kept) => ({
  rows: others,
  clone: false,
  artefacts: false,
  hooks: ['https://ci.example.com/hook'],
});

const control = {
  cancel: () => Promise.resolve(false),
  cancelAllOf: () => Promise.resolve(2),
  forgetAllOf: () => Promise.resolve(3),
};

function destroy(id: number, changes: Partial<DestructionDependencies> = {}, signal = new AbortController().signal) {
  const { db, clones } = world;
  const job = createDestruction({ db, gitlab: access, clones, cache, control, ...changes });
  return job.destroyRepository({ repositoryId: id }, { signal, now: Date.now() });
}

describe('U2: to destroy a repository', () => {
  test('leaves nothing in Postgres, on disk, in the cache or at GitLab, and touches nothing of others; twice the same', async () => {
    const doomed = await repositoryWithAll();
    expect((await leftOf(doomed)).hooks).toEqual([`${INGRESS_URL}/gitlab/events`, 'https://ci.example.com/hook']);
    const summary = `nothing is left of ${doomed.project.path}`;
    expect(await destroy(doomed.id)).toEqual({ summary, cancelledJobs: 2, forgottenExecutions: 3 });
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
    expect(await destroy(doomed.id)).toMatchObject({ summary: `nothing is left of repository ${doomed.id}` });
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test('its jobs are cancelled before anything is taken away that they work with, when they can write nothing any more', async () => {
    const doomed = await repositoryWithAll();
    const row = world.db.selectFrom('repositories').where('id', '=', doomed.id);
    let before: unknown;
    const cancelAllOf = async () => {
      before = [await row.select('tracked_at').executeTakeFirst(), (await leftOf(doomed)).clone];
      return 0;
    };
    const forgetAllOf = async () => {
      expect(await row.select('id').executeTakeFirst()).toBeUndefined();
      return 0;
    };
    await destroy(doomed.id, { control: { ...control, cancelAllOf, forgetAllOf } });
    expect(before).toEqual([{ tracked_at: null }, true]);
  });

  test('several at once end the same', async () => {
    const doomed = await repositoryWithAll();
    await Promise.all(Array.from({ length: 5 }, () => destroy(doomed.id)));
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test('of one that is gone at GitLab nothing is left either', async () => {
    const gone = await repositoryWithAll();
    world.gitlab.deleteProject(gone.project);
    await destroy(gone.id);
    expect({ ...(await leftOf(gone)), hooks: [] }).toEqual({ ...nothing(gone), hooks: [] });
  });
});

class Killed extends Error {}

/** Lets each thing that is done to the outside be the last one: before it is done, or after it. */
function killer(at: number) {
  let steps = 0;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    if (++steps === at) throw new Killed();
    const result = await work();
    if (++steps === at) throw new Killed();
    return result;
  };
  /** With the named methods as steps. */
  const stepwise = <T extends object>(object: T, names: readonly string[]): T =>
    new Proxy(object, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        if (typeof name === 'string' && names.includes(name))
          return (...args: unknown[]) => step(() => Promise.resolve(call(...args)));
        return call;
      },
    });
  const database = (db: ForgeflowDatabase): ForgeflowDatabase =>
    new Proxy(db, {
      get(target, name) {
        if (name === 'transaction')
          return () => ({
            execute: <T>(work: (inner: never) => Promise<T>) => step(() => target.transaction().execute(work as never)),
          });
        if (name === 'connection')
          return () => ({
            execute: <T>(work: (inner: ForgeflowDatabase) => Promise<T>) =>
              target.connection().execute((inner) => work(database(inner))),
          });
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  const client = (real: GitlabClient) => stepwise(real, ['listHooks', 'deleteHook']);
  return {
    reached: () => steps >= at,
    dependencies: {
      db: database(world.db),
      gitlab: { ...access, api: () => ({ ...access.api(), client: client(access.api().client) }) },
      clones: stepwise(world.clones, ['remove']),
      cache: stepwise(cache, ['purge']),
      control: stepwise(control, ['cancelAllOf', 'forgetAllOf']),
    },
  };
}

test('U2: whichever step is the last of a worker that is killed, the next one ends the same', async () => {
  let kills = 0;
  for (let at = 1; ; at++) {
    const doomed = await repositoryWithAll();
    const { dependencies, reached } = killer(at);
    const ended = await destroy(doomed.id, dependencies).catch((error: unknown) => error);
    if (!reached()) {
      expect(await leftOf(doomed)).toEqual(nothing(doomed));
      break;
    }
    expect(ended).toBeInstanceOf(Killed);
    kills += 1;
    await destroy(doomed.id);
    expect(await leftOf(doomed), `killed at step ${at}`).toEqual(nothing(doomed));
  }
  expect(kills).toBe(16);
});

describe('U2: what keeps a repository from being destroyed leaves nothing orphaned', () => {
  const stillKnown = async ({ id }: Kept) =>
    world.db.selectFrom('gitlab_hooks').select('state').where('repository_id', '=', id).executeTakeFirst();

  test('GitLab is away: it is tried again', async () => {
    const doomed = await repositoryWithAll();
    world.gitlab.faults.add({ path: /hooks/, fault: { status: 502 } });
    const failure = await destroy(doomed.id).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'GitlabUnavailable' });
    expect(await stillKnown(doomed)).toEqual({ state: 'installed' });
    world.gitlab.faults.clear();
    await destroy(doomed.id);
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test("GitLab's rate limit is used up: it goes on when that is over", async () => {
    const doomed = await repositoryWithAll();
    world.gitlab.rateLimit.refuse({ forSeconds: 60 });
    expect(await destroy(doomed.id)).toMatchObject({ reason: "GitLab's rate limit is used up" });
    expect(await stillKnown(doomed)).toEqual({ state: 'installed' });
    world.gitlab.rateLimit.allow();
    await access.close();
    access = accessWith({ INGRESS_URL });
    await destroy(doomed.id);
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test('bad input: a token that GitLab does not accept, or that may not: dead at once, with what to do', async () => {
    const doomed = await repositoryWithAll();
    const refused = accessWith({ INGRESS_URL, GITLAB_TOKEN: 'glpat-of-nobody' });
    const failure = await destroy(doomed.id, { gitlab: refused }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      nonRetryable: true,
      message: expect.stringMatching(
        /^GITLAB_TOKEN: GitLab does not accept it, so the webhook of .* is still there/,
      ) as string,
    });
    await refused.close();
    const unset = accessWith({ GITLAB_TOKEN: '' });
    await expect(destroy(doomed.id, { gitlab: unset })).rejects.toThrow(/^GITLAB_TOKEN: it is not set/);
    world.gitlab.addMember(doomed.project, world.gitlab.bot, 30);
    world.gitlab.faults.add({ path: /hooks/, fault: { status: 403, body: { message: '403 Forbidden' } } });
    await expect(destroy(doomed.id)).rejects.toMatchObject({
      nonRetryable: true,
      message: expect.stringContaining('make it a Maintainer there') as string,
    });
    expect(await stillKnown(doomed)).toEqual({ state: 'installed' });
    world.gitlab.faults.clear();
    world.gitlab.addMember(doomed.project, world.gitlab.bot, 40);
    await destroy(doomed.id);
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test('an installer that has its webhook in hand is waited for, and does not make it anew', async () => {
    const doomed = await repositoryWithAll();
    const { db, gitlab } = world;
    const { id: hookId } = await db
      .selectFrom('gitlab_hooks')
      .select('id')
      .where('repository_id', '=', doomed.id)
      .executeTakeFirstOrThrow();
    let isOver = false;
    const inHand = withHookLock(db, hookId, async () => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      isOver = true;
    });
    const installer = createInstaller({ db, sealer: testSealer, gitlab, ingressUrl: INGRESS_URL });
    const installs: unknown[] = [];
    gitlab.faults.add({
      method: 'DELETE',
      path: /hooks/,
      fault: {
        when: 'after',
        do: async () => {
          expect(isOver).toBe(true);
          // In the middle, when the webhook is gone and the row is not: GitLab answers only then.
          installs.push(await installer.run({ repository: doomed.project.path }).catch((error: unknown) => error));
        },
      },
    });
    await Promise.all([inHand, destroy(doomed.id)]);
    expect(installs).toMatchObject([{ message: 'another run has this hook in hand' }]);
    expect((await leftOf(doomed)).hooks).toEqual(['https://ci.example.com/hook']);
  });

  test('somebody tracks it again meanwhile: all is done once more, the clone too', async () => {
    const doomed = await repositoryWithAll();
    const again = async () => {
      await trackRepository(world.db, doomed.id);
      await world.clones.use(
        { id: doomed.id, path: doomed.project.path },
        () => Promise.resolve(),
        new AbortController().signal,
      );
    };
    const late: ArtefactCache = Object.assign(Object.create(cache) as FolderCache, { purge: again });
    await expect(destroy(doomed.id, { cache: late })).rejects.toThrow('was tracked again while it was removed');
    expect((await leftOf(doomed)).clone).toBe(true);
    await destroy(doomed.id);
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });

  test('one that never had a webhook, or is covered by its group, is destroyed without asking GitLab', async () => {
    const { id, project } = await world.addRepository('without-hook');
    await requestJobs(world.db, [{ kind: 'destroyRepository', payload: { repositoryId: id } }]);
    world.gitlab.forgetRequests();
    await destroy(id, { gitlab: accessWith({ GITLAB_URL: '', GITLAB_TOKEN: '' }), cache: null });
    expect(world.gitlab.requests).toEqual([]);
    expect(await leftOf({ id, project, others: {} })).toMatchObject({ clone: false, hooks: [] });
    await world.db.deleteFrom('job_requests').where('kind', '=', 'destroyRepository').execute();
  });

  test('without INGRESS_URL its webhook is known all the same; whoever is broken off stops', async () => {
    const doomed = await repositoryWithAll();
    world.gitlab.faults.add({ path: /hooks/, fault: 'hang' });
    const stop = new AbortController();
    const broken = destroy(doomed.id, {}, stop.signal).catch((error: unknown) => error);
    await eventually(async () => {
      await Promise.resolve();
      expect(world.gitlab.requests.at(-1)?.path).toMatch(/hooks/);
    });
    stop.abort(new Error('cancelled'));
    expect(await broken).toMatchObject({ message: 'cancelled' });
    world.gitlab.faults.clear();
    await destroy(doomed.id, { gitlab: accessWith({}) });
    expect(await leftOf(doomed)).toEqual(nothing(doomed));
  });
});
