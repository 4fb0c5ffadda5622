import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobClones } from '../../activities/job-clones.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { MAIN } from '../support/git-project.ts';
import { askedFor, readEvents, storeEvents } from '../support/merge-events.ts';
import { type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let world: MergeWorld;
let receiver: Receiver;
let shop: ServedRepository;
let opened: Awaited<ReturnType<MergeWorld['open']>>;
let count = 0;
beforeAll(async () => {
  [world, receiver] = await Promise.all([startMergeWorld(), startReceiver()]);
});
afterAll(async () => {
  await world.stop();
  await receiver.close();
});
beforeEach(async () => {
  shop = await world.addRepository(`shop-${++count}`);
  await shop.repository.commit(
    { ref: MAIN, tree: { 'a.txt': 'a\n' } },
    { ref: 'refs/heads/topic', parents: [0], tree: { 'a.txt': 'a\n', 'b.txt': 'b\n' } },
  );
  // What GitLab tells its hooks is what we are told, as soon as a test wants us to be.
  world.gitlab.addHook(shop.project, { url: receiver.url, push_events: true, merge_requests_events: true });
  opened = await world.open(shop.project, { sourceBranch: 'topic' });
  await world.db.deleteFrom('job_requests').execute();
});

/** Clones with which something happens while they are in use: before or after what is in them was looked at. */
function meanwhile(happens: () => Promise<unknown>, when: 'before' | 'after' = 'after'): JobClones {
  return {
    ...world.clones,
    use: (repository, work, signal) =>
      world.clones.use(
        repository,
        async (clone) => {
          if (when === 'before') await happens();
          const result = await work(clone);
          if (when === 'after') await happens();
          return result;
        },
        signal,
      ),
  };
}

const push = (branch: string, files: Record<string, string> = { [`${branch}-${++count}.txt`]: 'x\n' }) =>
  world.gitlab.commit(shop.project, { branch, files });
/** Something happens in GitLab, and what it tells its hooks is read. */
async function told(happening: () => Promise<unknown>): Promise<void> {
  const before = receiver.requests.length;
  await happening();
  await tellSince(before);
}

/** What the hooks were told from their so many-th request on is read. */
async function tellSince(before: number): Promise<void> {
  const bodies = receiver.requests.slice(before).map(({ rawBody }) => rawBody.toString());
  expect(bodies.length).toBeGreaterThan(0);
  await storeEvents(world.db, ...bodies);
  await readEvents(world.db);
}

const state = async () => (await world.known(opened)).mergeability.state;
const OUTDATED = {
  summary: expect.stringMatching(/has changed meanwhile; the result is not kept$/) as string,
  isOutdated: true,
};
const ASKED = { kind: 'recompute_mergeability', id: 0 };

describe('while it is computed', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    ['its head is pushed', () => told(() => push('topic')), 'clean'],
    ['its base is pushed', () => told(() => push('main')), 'behind'],
    ['its head is deleted', () => told(() => world.gitlab.push(shop.project, { branch: 'topic', to: null })), 'dirty'],
    [
      'it gets another base',
      async () => {
        await world.gitlab.commit(shop.project, { branch: 'stable', files: { 'b.txt': 'another b\n' } });
        await told(() => world.gitlab.editMergeRequest(opened, { targetBranch: 'stable' }));
      },
      'dirty',
    ],
    ['it becomes a draft', () => told(() => world.gitlab.editMergeRequest(opened, { draft: true })), 'draft'],
  ])('J7: %s: the result is thrown away, and the event has asked for another run', async (_, happens, after) => {
    expect(await world.compute(opened.ourId, meanwhile(happens))).toEqual(OUTDATED);
    expect(await state()).toBe('unknown');
    expect(await askedFor(world.db)).toContainEqual({ ...ASKED, id: opened.ourId });
    await world.compute(opened.ourId);
    expect(await state()).toBe(after);
  });

  test('J7: it is closed, or merged: the result is thrown away, and nothing more is asked for', async () => {
    const closes = () => told(() => world.gitlab.closeMergeRequest(opened));
    expect(await world.compute(opened.ourId, meanwhile(closes))).toEqual(OUTDATED);
    expect(await state()).toBe('unknown');
    expect(await askedFor(world.db)).toEqual([]);
    expect(await world.compute(opened.ourId)).toEqual({ summary: 'nothing to do: it is closed' });
  });

  test('J7: what does not matter to it happens: the result is kept', async () => {
    const happens = async () => {
      await told(() => world.gitlab.editMergeRequest(opened, { title: 'Another title' }));
      await told(() => push('unrelated'));
    };
    expect(await world.compute(opened.ourId, meanwhile(happens))).toMatchObject({ state: 'clean' });
    expect(await state()).toBe('clean');
  });

  test('J7: another run of it comes first: both have seen the same, and either may be kept', async () => {
    const again = () => world.compute(opened.ourId);
    expect(await world.compute(opened.ourId, meanwhile(again))).toMatchObject({ state: 'clean' });
    expect(await state()).toBe('clean');
  });

  test('J7: its repository is removed: nothing is written, no clone is left, and the job is no dead one', async () => {
    const isGone = { summary: `nothing to do: ${shop.project.path} is not tracked any more` };
    const remove = async () => {
      await untrackRepository(world.db, shop.id);
      await world.clones.remove(shop.id);
    };
    // After the look at it, before the clone was made; and while the clone is in use.
    const beforeFetch: JobClones = {
      ...world.clones,
      use: async (...args) => {
        await remove();
        return world.clones.use(...args);
      },
    };
    expect(await world.compute(opened.ourId, beforeFetch)).toEqual(isGone);
    const directory = `${world.storage}/repositories/${shop.id}`;
    expect([existsSync(`${directory}.git`), existsSync(`${directory}.lock`)]).toEqual([false, false]);

    const { id: other } = shop;
    shop = await world.addRepository(`removed-${++count}`);
    expect(shop.id).not.toBe(other);
    await shop.repository.commit(
      { ref: MAIN, tree: { 'a.txt': 'a\n' } },
      { ref: 'refs/heads/topic', parents: [0], tree: { 'b.txt': 'b\n' } },
    );
    opened = await world.open(shop.project, { sourceBranch: 'topic' });
    expect(await world.compute(opened.ourId, meanwhile(remove, 'before'))).toEqual({
      summary: `nothing to do: ${shop.project.path} is not tracked any more`,
    });
    expect(existsSync(`${world.storage}/repositories/${shop.id}.git`)).toBe(false);
    expect(await world.known(opened)).toBeUndefined();
  });
});

describe('a push whose event has not come yet', () => {
  test('J7: is in the result, which names its commits; the event makes it unknown, and asks for it again', async () => {
    const before = receiver.requests.length;
    const head = await push('topic');
    expect(await world.compute(opened.ourId)).toMatchObject({ state: 'clean', ahead: 2 });
    const { headSha, mergeability } = await world.known(opened);
    expect(mergeability.headSha).toBe(head);
    expect(headSha).not.toBe(head); // that is what events say
    await tellSince(before);
    expect(await state()).toBe('unknown');
    expect(await askedFor(world.db)).toContainEqual({ ...ASKED, id: opened.ourId });
    await world.compute(opened.ourId);
    expect(await world.known(opened)).toMatchObject({ headSha: head, mergeability: { headSha: head, state: 'clean' } });
  });

  test('J7: after what was looked at: the older result stands until then', async () => {
    const before = receiver.requests.length;
    const pushed = meanwhile(() => push('main'));
    expect(await world.compute(opened.ourId, pushed)).toMatchObject({ state: 'clean' });
    expect(await state()).toBe('clean');
    await tellSince(before);
    expect(await state()).toBe('unknown');
    await world.compute(opened.ourId);
    expect(await state()).toBe('behind');
  });
});
