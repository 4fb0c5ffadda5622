import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommitsDependencies, createCommits } from '../../activities/commits.ts';
import { createCommitsSize } from '../../activities/commits-size.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { createJobClones, type JobClones } from '../../activities/job-clones.ts';
import { findCommitBySha, upsertCommit } from '../../src/database/commits.ts';
import { storeReport } from '../../src/database/coverage-reports.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { MAIN } from '../support/git-project.ts';
import { type Item, TEST_ENVIRONMENT } from '../support/git-repository.ts';
import { configOf, type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';

const MANIFEST = '.forgeflow.yaml';
const TWO_CHECKS = 'version: 1\nchecks:\n  - plugin: lint\n  - plugin: spell\n';

let world: MergeWorld;
const cancelled: string[] = [];
beforeAll(async () => {
  world = await startMergeWorld();
});
afterAll(() => world.stop());

interface Tried {
  clones?: Pick<JobClones, 'use'>;
  cancel?: CommitsDependencies['control']['cancel'];
  signal?: AbortSignal;
}

function jobs({ clones = world.clones, cancel, signal = new AbortController().signal }: Tried = {}) {
  const note = (jobId: string) => {
    cancelled.push(jobId);
    return Promise.resolve(true);
  };
  const { db } = world;
  const context = { signal, now: Date.now() };
  const commits = createCommits({ db, clones, control: { cancel: cancel ?? note } });
  const sizes = createCommitsSize({ db });
  return {
    process: async (commitId: number) => (await commits.processCommit({ commitId }, context)) as JobDone,
    initialize: async (repositoryId: number) =>
      (await commits.initializeRepository({ repositoryId }, context)) as JobDone,
    sum: async (repositoryId: number) =>
      (await sizes.computeRepositoryCommitsSize({ repositoryId }, context)) as JobDone,
  };
}

let names = 0;
const add = () => world.addRepository(`clay/pot-${++names}`);
let shared: Promise<ServedRepository> | undefined;
/** One for all: to clone a repository takes longer than what is looked at. */
const manifests = () => (shared ??= add());

/** Pushes a commit, and makes it known as its event would. @returns its ids, GitLab's and ours */
async function pushed(to: ServedRepository, tree: Record<string, Item>): Promise<{ sha: string; id: number }> {
  const [sha] = await to.repository.commit({ ref: MAIN, tree, message: 'Fire the kiln\n\nAt 1280 degrees.\n' });
  const kept = await upsertCommit(world.db, { repositoryId: to.id, sha: sha! });
  return { sha: sha!, id: kept!.id };
}

/** The kinds of the jobs that were asked for since the last time, in their order. */
async function asked(): Promise<string[]> {
  const { rows } = await sql<{ id: string; kind: string }>`
    with asked as (delete from job_requests returning id, kind) select * from asked order by id
  `.execute(world.db);
  return rows.map(({ kind }) => kind);
}

const rowOf = (id: number) => world.db.selectFrom('commits').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const checksOf = (id: number) =>
  world.db
    .selectFrom('checks')
    .select(['id', 'run', 'plugin', 'state'])
    .where('commit_id', '=', id)
    .orderBy('id')
    .execute();
const branchesOf = async ({ id }: ServedRepository) => {
  const rows = await world.db.selectFrom('branches').selectAll().where('repository_id', '=', id).execute();
  return Object.fromEntries(rows.map(({ name, head_sha }) => [name, head_sha]));
};

/** All that a commit's job leaves behind; ids and numbers of runs grow with each. */
async function endState(commitId: number) {
  const { processed_at, checks_run, ...row } = await rowOf(commitId);
  const checks = (await checksOf(commitId)).map(({ plugin, state, run }) => [plugin, state, run === checks_run]);
  expect(processed_at).toBeInstanceOf(Date);
  return { row, checks };
}

describe('U4: a commit', () => {
  test('U4: is cloned, its branches are those of the clone, its checks begin, and all that comes next is asked for', async () => {
    const one = await add();
    const { sha, id } = await pushed(one, { 'a.txt': '12345', 'd/b.bin': Buffer.alloc(1_000), [MANIFEST]: TWO_CHECKS });
    await one.repository.git('branch', 'hot/ter', 'main');
    const report = { sha, content: Buffer.from('x'), sizeBytes: 1 };
    await storeReport(world.db, { repositoryId: one.id, ...report });
    await asked();
    const sizeBytes = 1_005 + TWO_CHECKS.length;
    expect(await jobs().process(id)).toEqual({ summary: '2 checks begun', checks: 2, sizeBytes, authorId: null });
    expect(await rowOf(id)).toMatchObject({
      state: 'completed',
      failure: null,
      title: 'Fire the kiln',
      author_name: 'Ada',
      author_email: 'ada@example.com',
      author_email_key: 'ada@example.com',
      size_bytes: String(sizeBytes),
      checks_state: 'pending',
      checks_detail: null,
      checks_run: 1,
    });
    expect(await checksOf(id)).toMatchObject([
      { plugin: 'lint', state: 'waiting', run: 1 },
      { plugin: 'spell', state: 'waiting', run: 1 },
    ]);
    expect(await branchesOf(one)).toEqual({ main: sha, 'hot/ter': sha });
    expect(await asked()).toEqual([
      'postCommitStatuses',
      'runCheck',
      'runCheck',
      'processCoverage',
      'computeRepositoryCommitsSize',
    ]);
  });

  test('U4: is linked to the user one of whose verified emails its author has, whatever their case; claimed by two, to none', async () => {
    const { db } = world;
    const one = await add();
    const { id } = await pushed(one, { a: 'a' });
    const user = (gitlab_id: number, username: string) =>
      db.insertInto('users').values({ gitlab_id, username, name: username }).returning('id').executeTakeFirstOrThrow();
    const ada = await user(1, 'ada');
    const eve = await user(2, 'eve');
    await db
      .insertInto('user_emails')
      .values([
        { user_id: ada.id, email_key: 'ada@example.com' },
        { user_id: eve.id, email_key: 'eve@example.com' },
      ])
      .execute();
    expect(await jobs().process(id)).toMatchObject({ authorId: ada.id });
    const tree = await one.repository.git('rev-parse', 'main^{tree}');
    const env = { ...TEST_ENVIRONMENT, GIT_AUTHOR_EMAIL: 'ADA@Example.COM' };
    const cwd = one.repository.directory;
    const { stdout: sha } = await execa('git', ['commit-tree', '-m', 'x', tree], { cwd, env });
    await one.repository.git('update-ref', 'refs/heads/shouted', sha);
    const shouted = (await upsertCommit(db, { repositoryId: one.id, sha }))!;
    expect(await jobs().process(shouted.id)).toMatchObject({ authorId: ada.id });
    expect(await rowOf(shouted.id)).toMatchObject({ author_email: 'ADA@Example.COM', author_id: ada.id });
    await db.insertInto('user_emails').values({ user_id: eve.id, email_key: 'ada@example.com' }).execute();
    expect(await jobs().process(shouted.id)).toMatchObject({ authorId: null });
    await db.deleteFrom('user_emails').execute();
    await db.deleteFrom('users').execute();
    expect((await rowOf(id)).author_id).toBeNull();
  });

  test('U4: without a manifest, or without checks in it, is not_configured', async () => {
    const one = await add();
    const bare = await pushed(one, { a: 'a' });
    expect(await jobs().process(bare.id)).toMatchObject({ summary: 'no checks are configured', checks: 0 });
    const none = await pushed(one, { [MANIFEST]: 'version: 1\n' });
    await jobs().process(none.id);
    for (const { id } of [bare, none])
      expect(await rowOf(id)).toMatchObject({ state: 'completed', checks_state: 'not_configured', checks_run: 0 });
    expect(await asked()).not.toContain('runCheck');
  });

  test.each<[string, Item, RegExp]>([
    [
      'with a key that there is not',
      'version: 1\nchecks:\n  - plugin: lint\n    colour: red\n',
      /line 4, column 5: .*colour/,
    ],
    ['that is not YAML', 'version: 1\nchecks: [\n', /^\.forgeflow\.yaml, line \d+, column \d+: /],
    ['of a version that there is not', 'version: 2\n', /line 1, column 10: version/],
    ['that is too large, which is not read', `version: 1\n#${'x'.repeat(70_000)}`, /line 1, .* 70012 bytes long/],
    ['that is no text', Buffer.from([0x61, 0xff, 0xfe]), /line 1, column 2: the file is not text/],
    ['that leads elsewhere', { mode: '120000', content: '/etc/passwd' }, /line 1, .*symlink, which is not followed/],
    ['that is a submodule', { mode: '160000', commit: '5'.repeat(40) }, /line 1, .*has to be a file/],
  ])('U4: a manifest %s gives the status error with its line; the commit is there', async (_, item, wanted) => {
    const one = await manifests();
    const { id } = await pushed(one, { a: 'a', [MANIFEST]: item });
    await jobs().process(id);
    const row = await rowOf(id);
    expect(row).toMatchObject({ state: 'completed', checks_state: 'error', failure: null });
    expect(row.checks_detail).toMatch(wanted);
    expect(await checksOf(id)).toEqual([]);
  });

  test('U4: that is a folder by the name of a manifest is wrong too', async () => {
    const one = await manifests();
    const { id } = await pushed(one, { [`${MANIFEST}/a`]: 'a' });
    await jobs().process(id);
    expect((await rowOf(id)).checks_detail).toMatch(/has to be a file/);
  });

  test('U4, force push: one that was pushed away before it was fetched is errored for good, and its branch follows', async () => {
    const one = await add();
    const { id, sha } = await pushed(one, { a: 'a' });
    const next = await pushed(one, { a: 'b' });
    await one.repository.git('reflog', 'expire', '--expire=now', '--all');
    await asked();
    await expect(jobs().process(id)).rejects.toMatchObject({
      nonRetryable: true,
      message: `GitLab has no commit ${sha.slice(0, 8)} in any branch any more`,
    });
    expect(await rowOf(id)).toMatchObject({
      state: 'errored',
      failure: expect.stringContaining('has no commit') as string,
    });
    expect(await branchesOf(one)).toEqual({ main: next.sha });
    expect(await asked()).toEqual([]);
  });

  test('U4: of a repository that is not tracked any more, or that is not there, leaves nothing', async () => {
    const one = await add();
    const { id } = await pushed(one, { a: 'a' });
    await untrackRepository(world.db, one.id);
    await asked();
    expect(await jobs().process(id)).toEqual({ summary: 'there is no such commit any more' });
    expect(await jobs().process(2_000_000)).toEqual({ summary: 'there is no such commit any more' });
    expect([await asked(), await branchesOf(one)]).toEqual([[], {}]);
  });

  test('U4: of a repository that is removed while it is cloned leaves nothing', async () => {
    const one = await add();
    const { id } = await pushed(one, { a: 'a', [MANIFEST]: TWO_CHECKS });
    await asked();
    const clones: Pick<JobClones, 'use'> = {
      use: (repository, work, signal) =>
        world.clones.use(
          repository,
          async (clone) => {
            const found = await work(clone);
            await untrackRepository(world.db, one.id);
            return found;
          },
          signal,
        ),
    };
    expect(await jobs({ clones }).process(id)).toEqual({ summary: 'there is no such commit any more' });
    expect([await asked(), await branchesOf(one), await checksOf(id)]).toEqual([[], {}, []]);
  });
});

describe('U4: a commit that cannot be cloned', () => {
  test('U4: is errored with the reason, GitLab is to be told, and the job is tried again; once it can be, all is well', async () => {
    const one = await add();
    const { id } = await pushed(one, { a: 'a', [MANIFEST]: TWO_CHECKS });
    await asked();
    await one.repository.git('config', 'http.uploadpack', 'false');
    await expect(jobs().process(id)).rejects.toThrow('git ');
    const failed = await rowOf(id);
    expect(failed).toMatchObject({ state: 'errored', checks_state: 'error', processed_at: null });
    expect(failed.failure).toMatch(/^git [\w-]+: the server/);
    expect(failed.failure).not.toContain(world.gitlab.token);
    expect(await asked()).toEqual(['postCommitStatuses']);
    await one.repository.git('config', 'http.uploadpack', 'true');
    await jobs().process(id);
    expect(await rowOf(id)).toMatchObject({ state: 'completed', failure: null, checks_state: 'pending' });
    expect(await asked()).toContain('postCommitStatuses');
  });

  test('U4: without a setting says which one', async () => {
    const one = await add();
    const { id } = await pushed(one, { a: 'a' });
    const config = configOf({ gitlab: world.gitlab, storage: world.storage, databaseUrl: world.database.url });
    const clones = createJobClones({ ...config, gitlabToken: undefined }, world.db);
    await expect(jobs({ clones }).process(id)).rejects.toThrow('GITLAB_TOKEN');
    expect((await rowOf(id)).failure).toMatch(/GITLAB_TOKEN/);
  });

  test('U4: a clone that is broken is made anew', async () => {
    const one = await add();
    const first = await pushed(one, { a: 'a', b: 'b' });
    await jobs().process(first.id);
    const objects = join(world.storage, 'repositories', `${one.id}.git`, 'objects');
    await rm(objects, { recursive: true });
    await mkdir(objects);
    await writeFile(join(objects, 'junk'), 'junk');
    const second = await pushed(one, { a: 'c' });
    await jobs().process(second.id);
    expect(await rowOf(second.id)).toMatchObject({ state: 'completed', size_bytes: '1' });
  });
});

describe('U4: whatever happens to the job, the end is the same', () => {
  const prepared = async () => {
    const one = await add();
    return { one, ...(await pushed(one, { a: 'a', [MANIFEST]: TWO_CHECKS })) };
  };
  const reference = async (id: number) => {
    await jobs().process(id);
    return endState(id);
  };

  test('U4, twice in a row: the checks are run anew, and those of the time before are cancelled', async () => {
    const { id } = await prepared();
    const once = await reference(id);
    const before = await checksOf(id);
    cancelled.length = 0;
    await jobs().process(id);
    expect(await endState(id)).toEqual(once);
    expect((await checksOf(id)).map(({ run }) => run)).toEqual([2, 2]);
    expect(cancelled).toEqual(before.map((check) => `runCheck/check/${check.id}`));
    expect((await checksOf(id)).map((check) => check.id)).not.toEqual(before.map((check) => check.id));
  });

  test('U4: checks that Temporal cannot cancel just now do not keep it from its end', async () => {
    const { id } = await prepared();
    const once = await reference(id);
    await jobs({ cancel: () => Promise.reject(new Error('Temporal is away')) }).process(id);
    expect(await endState(id)).toEqual(once);
  });

  test('U4, with itself at the same time: one run of checks is left', async () => {
    const { id, one, sha } = await prepared();
    const results = await Promise.all(Array.from({ length: 4 }, () => jobs().process(id)));
    expect(results.map(({ checks }) => checks)).toEqual(Array.from({ length: 4 }, () => 2));
    const state = await endState(id);
    expect(state.checks).toEqual([
      ['lint', 'waiting', true],
      ['spell', 'waiting', true],
    ]);
    expect(await branchesOf(one)).toEqual({ main: sha });
    await jobs().process(id);
    expect(await endState(id)).toEqual(state);
  });

  test('U4, broken off at any step: nothing is said of the commit, and the next attempt ends as if nothing had been', async () => {
    const { id } = await prepared();
    const once = await reference(id);
    await asked();
    for (const step of ['before the fetch', 'within the clone', 'after it', 'before the cancelling'] as const) {
      const abort = new AbortController();
      const stop = (at: typeof step): void => {
        if (at === step) abort.abort(new Error('the worker stops'));
      };
      const clones: Pick<JobClones, 'use'> = {
        async use(repository, work, signal) {
          stop('before the fetch');
          const found = await world.clones.use(
            repository,
            async (clone) => {
              stop('within the clone');
              return work(clone);
            },
            signal,
          );
          stop('after it');
          if (step === 'after it') throw signal.reason as Error; // its worker is gone
          return found;
        },
      };
      const cancel = (): Promise<boolean> => {
        stop('before the cancelling');
        return Promise.resolve(true);
      };
      const outcome = await jobs({ clones, cancel, signal: abort.signal })
        .process(id)
        .catch((error: unknown) => error);
      expect(abort.signal.aborted, step).toBe(true);
      if (step !== 'before the cancelling') {
        expect(outcome, step).toBeInstanceOf(Error);
        expect(await rowOf(id), step).toMatchObject({ state: 'in_progress', failure: null });
      }
      await jobs().process(id);
      expect(await endState(id), step).toEqual(once);
    }
  });

  test('U4: a database that fails in the last transaction undoes all of it; once more, it all comes true', async () => {
    const { db } = world;
    const { id } = await prepared();
    const once = await reference(id);
    await sql`create function refuse() returns trigger language plpgsql as $$ begin raise 'no more checks'; end $$`.execute(
      db,
    );
    await sql`create trigger refuses before insert on checks for each row execute function refuse()`.execute(db);
    await expect(jobs().process(id)).rejects.toThrow('no more checks');
    expect(await checksOf(id)).toHaveLength(2); // those of the run before
    expect(await rowOf(id)).toMatchObject({
      state: 'errored',
      failure: expect.stringContaining('no more checks') as string,
    });
    await sql`drop function refuse cascade`.execute(db);
    await jobs().process(id);
    expect(await endState(id)).toEqual(once);
  });
});

describe('U3: a repository that was added', () => {
  test("U3: its branches are kept, its default branch's last commit is to be processed; twice, and at once, once", async () => {
    const one = await add();
    const [first, main] = await one.repository.commit(
      { ref: 'refs/heads/old', tree: { a: 'a' } },
      { ref: MAIN, parents: [0], tree: { a: 'b' } },
    );
    await asked();
    expect(await jobs().initialize(one.id)).toEqual({
      summary: `main at ${main!.slice(0, 8)} is to be processed`,
      branches: 2,
    });
    expect(await asked()).toEqual(['processCommit']);
    expect(await branchesOf(one)).toEqual({ main, old: first });
    await Promise.all(Array.from({ length: 5 }, () => jobs().initialize(one.id)));
    expect(await asked()).toEqual([]);
    const { id } = (await findCommitBySha(world.db, one.id, main!))!;
    expect(await rowOf(id)).toMatchObject({ state: 'queued' });
    await jobs().process(id);
    await asked();
    expect(await jobs().initialize(one.id)).toMatchObject({ summary: `main at ${main!.slice(0, 8)} is known` });
    expect(await asked()).toEqual([]);
  });

  test('U3: one without commits is done, and one that has lost them has no branches any more', async () => {
    const one = await add();
    await asked();
    const empty = { summary: 'the repository has no commits', branches: 0 };
    expect(await jobs().initialize(one.id)).toEqual(empty);
    expect(await jobs().initialize(one.id)).toEqual(empty);
    await one.repository.commit({ ref: MAIN, tree: { a: 'a' } });
    await jobs().initialize(one.id);
    expect(Object.keys(await branchesOf(one))).toEqual(['main']);
    await one.repository.git('update-ref', '-d', MAIN);
    expect(await jobs().initialize(one.id)).toEqual(empty);
    expect(await branchesOf(one)).toEqual({});
    expect(await asked()).toEqual(['processCommit']);
  });

  test('U3: broken off, or removed meanwhile, it leaves nothing; the next attempt does all of it', async () => {
    const one = await add();
    const [main] = await one.repository.commit({ ref: MAIN, tree: { a: 'a' } });
    await asked();
    const abort = new AbortController();
    abort.abort(new Error('the worker stops'));
    await expect(jobs({ signal: abort.signal }).initialize(one.id)).rejects.toThrow('the worker stops');
    expect([await asked(), await branchesOf(one)]).toEqual([[], {}]);
    await jobs().initialize(one.id);
    expect([await asked(), await branchesOf(one)]).toEqual([['processCommit'], { main }]);
    await untrackRepository(world.db, one.id);
    expect(await jobs().initialize(one.id)).toEqual({ summary: 'it is not tracked any more' });
    expect(await asked()).toEqual([]);
  });
});

describe('U1: what the commits of a repository take', () => {
  test('U1: is the sum over those that were cloned, each by itself; twice, and at once, the same', async () => {
    const one = await add();
    expect(await jobs().sum(one.id)).toEqual({ summary: 'its commits take 0 bytes', bytes: 0 });
    const first = await pushed(one, { a: '12345' });
    const second = await pushed(one, { a: '12345', b: '67', link: { mode: '120000', content: 'a' } });
    await jobs().process(second.id);
    expect(await jobs().sum(one.id)).toMatchObject({ bytes: 8 });
    const [third] = await one.repository.commit({
      ref: MAIN,
      tree: { 'sub/m': { mode: '160000', commit: first.sha } },
    });
    const { id } = (await upsertCommit(world.db, { repositoryId: one.id, sha: third! }))!;
    await jobs().process(id);
    await Promise.all(Array.from({ length: 5 }, () => jobs().sum(one.id)));
    const sizes = world.db.selectFrom('repositories').select('commits_size').where('id', '=', one.id);
    expect(await sizes.executeTakeFirst()).toEqual({ commits_size: '8' });
    await untrackRepository(world.db, one.id);
    expect(await jobs().sum(one.id)).toEqual({ summary: 'it is not tracked any more' });
  });
});
