import { chmod, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jobFailure } from '../../activities/failures.ts';
import { createJobClones, type JobClones, NotTracked } from '../../activities/job-clones.ts';
import { findTracked, untrackRepository } from '../../src/database/tracked-repositories.ts';
import type { Clone } from '../../src/git/clone.ts';
import { branchHead } from '../../src/git/refs.ts';
import { eventually } from '../support/eventually.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { fill, work } from '../support/git-project.ts';
import { configOf, type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';

let world: MergeWorld;
let served: ServedRepository;
let head: string;
let count = 0;
beforeAll(async () => {
  world = await startMergeWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  served = await world.addRepository(`project-${++count}`);
  await fill(served.repository);
  head = await served.repository.git('rev-parse', 'main');
});

const { signal } = new AbortController();
const repository = () => ({ id: served.id, path: served.project.path });
const mainOf = (clone: Clone) => branchHead(clone, 'main');
const use = (clones: JobClones = world.clones, work: (clone: Clone) => Promise<unknown> = mainOf) =>
  clones.use(repository(), work, signal);
/** What a job comes to that meets this. */
const failure = async (attempt: Promise<unknown>) => {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const { type, message, nonRetryable } = jobFailure(error, 1);
  return { type, message, nonRetryable };
};
/** Of a worker with other settings. */
const clonesWith = (settings: Record<string, string>) =>
  createJobClones(
    configOf({ gitlab: world.gitlab, storage: world.storage, databaseUrl: world.database.url }, settings),
    world.db,
  );
const names = async () =>
  (await readdir(join(world.storage, 'repositories')).catch(() => [])).filter((name) =>
    name.startsWith(`${served.id}.`),
  );
const cloneOf = (id: number) => join(world.storage, 'repositories', `${id}.git`);

describe('a clone', () => {
  test('J6: is as GitLab is now, and the books say when it was brought up to date, and how large it is', async () => {
    const before = Date.now();
    expect(await use()).toBe(head);
    const { fetchedAt, cloneBytes } = (await findTracked(world.db, served.id))!;
    expect(fetchedAt!.getTime()).toBeGreaterThanOrEqual(before - 1_000);
    expect(cloneBytes).toBeGreaterThan(100_000);
    const pushed = await world.gitlab.commit(served.project, { files: { 'new.txt': 'n\n' } });
    expect(await use()).toBe(pushed);
    expect(await names()).toEqual([`${served.id}.git`, `${served.id}.lock`]);
  });

  test.each<[string, (directory: string) => Promise<unknown>]>([
    ['half a pack', (directory) => eachFile(directory, /\.pack$/, (file) => truncate(file, 100_000))],
    ['no objects', (directory) => rm(join(directory, 'objects'), { recursive: true })],
    [
      'a file in its place',
      async (directory) => {
        await rm(directory, { recursive: true });
        await writeFile(directory, 'no folder');
      },
    ],
  ])('bad input: with %s: one fresh clone, then the job', async (_, breakIt) => {
    const wanted = await use(world.clones, work);
    await breakIt(cloneOf(served.id));
    expect(await use(world.clones, work)).toEqual(wanted);
    expect(await names()).toEqual([`${served.id}.git`, `${served.id}.lock`]);
  });

  test('bad input: that is broken once more after it was made anew fails the job for good', async () => {
    const attempt = use(world.clones, async (clone) => {
      await rm(join(clone.directory, 'objects'), { recursive: true });
      await work(clone);
    });
    expect(await failure(attempt)).toEqual({
      type: 'JobImpossible',
      message: expect.stringMatching(/^git [a-z-]+: the clone on disk is broken$/) as string,
      nonRetryable: true,
    });
    expect(await use(world.clones, work)).toBeDefined(); // the next job begins with a fresh one
  });

  async function eachFile(directory: string, pattern: RegExp, change: (file: string) => Promise<unknown>) {
    const files = (await readdir(directory, { recursive: true })).filter((name) => pattern.test(name));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      await chmod(join(directory, file), 0o600);
      await change(join(directory, file));
    }
  }
});

describe('a repository', () => {
  test('bad input: that is gone in GitLab fails the job for good, with the reason', async () => {
    world.gitlab.deleteProject(served.project);
    const gone = {
      type: 'JobImpossible',
      message: 'git fetch: the server knows no such repository',
      nonRetryable: true,
    };
    const message = expect.stringMatching(/^git (fetch|ls-remote): the server knows no such repository$/) as string;
    expect(await failure(use())).toEqual({ ...gone, message });
    expect(await names()).not.toContain(`${served.id}.git`);
  });

  test('bad input: that is gone only after it was cloned, too; the clone stays for who looks into it', async () => {
    await use();
    world.gitlab.deleteProject(served.project);
    expect(await failure(use())).toMatchObject({ type: 'JobImpossible', nonRetryable: true });
    expect(await names()).toContain(`${served.id}.git`);
  });

  test('bad input: whose GitLab is away, or refuses the token, is tried again', async () => {
    const { value } = world.gitlab.addToken(world.gitlab.bot);
    world.gitlab.revokeToken(value);
    expect(await failure(use(clonesWith({ GITLAB_TOKEN: value })))).toEqual({
      type: 'JobFailed',
      message: expect.stringMatching(/the server refused the credentials$/) as string,
      nonRetryable: false,
    });
    expect(await failure(use(clonesWith({ GITLAB_URL: 'http://127.0.0.1:1' })))).toEqual({
      type: 'JobFailed',
      message: expect.stringMatching(/the server could not be connected to$/) as string,
      nonRetryable: false,
    });
  });

  test('is found by its path as GitLab knows it, odd characters included', async () => {
    world.gitlab.moveProject(served.project, 'acme/a.b_c-d+é');
    expect(await world.clones.use({ id: served.id, path: 'acme/a.b_c-d+é' }, mainOf, signal)).toBe(head);
  });

  test('J7: that is removed while its clone is made leaves none, whatever that comes to', async () => {
    const directory = join(world.storage, 'repositories');
    const removed = async () => {
      await untrackRepository(world.db, served.id);
      await world.clones.remove(served.id);
    };
    const work = (): Promise<never> => Promise.reject(new Error('it is not to be done'));
    await removed();
    expect(await failure(use(world.clones, work))).toMatchObject({ nonRetryable: true });
    await expect(use(world.clones, work)).rejects.toThrow(`${served.project.path} is not tracked any more`);
    await expect(use(clonesWith({ GITLAB_TOKEN: 'wrong' }), work)).rejects.toBeInstanceOf(NotTracked);
    expect((await readdir(directory)).filter((name) => name.startsWith(`${served.id}.`))).toEqual([]);
  });

  test('is swept where it is not tracked any more; who tracks one meanwhile keeps his', async () => {
    const [first, kept] = [served, await world.addRepository(`kept-${count}`)];
    await fill(kept.repository);
    await use();
    await world.clones.use({ id: kept.id, path: kept.project.path }, mainOf, signal);
    await untrackRepository(world.db, first.id);
    expect(await world.clones.sweep()).toBeGreaterThanOrEqual(1);
    expect(await names()).toEqual([]);
    const folder = await readdir(join(world.storage, 'repositories'));
    expect(folder).toContain(`${kept.id}.git`);
    expect(await world.clones.sweep()).toBe(0);
  });
});

describe('settings', () => {
  test('bad input: plain HTTP is refused unless its network is named; the error names GITLAB_URL', async () => {
    const before = world.gitlab.gitRequests.length;
    const refused = {
      type: 'SettingMissing',
      message: expect.stringMatching(/^GITLAB_URL: .*https.*DELIVERY_ALLOWED_NETWORKS$/) as string,
      nonRetryable: true,
    };
    for (const networks of ['', '10.0.0.0/8', '127.0.0.2', '::1', 'fc00::/7,192.168.0.0/16']) {
      expect(await failure(use(clonesWith({ DELIVERY_ALLOWED_NETWORKS: networks })))).toEqual(refused);
    }
    const [ipv6, name] = [`http://[::1]:1`, 'http://localhost:1'];
    expect(await failure(use(clonesWith({ GITLAB_URL: ipv6 })))).toEqual(refused);
    expect(world.gitlab.gitRequests).toHaveLength(before);
    for (const networks of ['127.0.0.1', '127.0.0.1/32', '127.0.0.0/8', '10.0.0.0/8,127.0.0.0/8']) {
      expect(await use(clonesWith({ DELIVERY_ALLOWED_NETWORKS: networks }))).toBe(head);
    }
    const open = { DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8,::1' };
    for (const url of [ipv6, name]) {
      const message = expect.stringMatching(/could not be connected to$/) as string;
      expect(await failure(use(clonesWith({ GITLAB_URL: url, ...open })))).toMatchObject({
        type: 'JobFailed',
        message,
      });
    }
  });

  test('bad input: without GITLAB_URL or GITLAB_TOKEN the job fails for good, and names it', async () => {
    for (const variable of ['GITLAB_URL', 'GITLAB_TOKEN']) {
      const { type, message } = await failure(use(clonesWith({ [variable]: '' })));
      expect([type, message.split(':')[0]]).toEqual(['SettingMissing', variable]);
    }
  });

  test('bad input: without git it says so; it is found once somebody installs it; a clone is removed without it', async () => {
    const bin = join(world.storage, `bin-${count}`);
    await mkdir(bin, { recursive: true });
    const path = async (program: string) => (await execa('which', [program])).stdout;
    await symlink(await path('flock'), join(bin, 'flock'));
    const clones = clonesWith({ PATH: bin });
    expect(await failure(use(clones))).toEqual({
      type: 'JobFailed',
      message: 'the program git was not found',
      nonRetryable: false,
    });
    await use();
    await clones.remove(served.id);
    expect(await names()).toEqual([]);
    // Git finds its own helpers; of the rest it needs a shell.
    await symlink(await path('git'), join(bin, 'git'));
    await symlink(await path('sh'), join(bin, 'sh'));
    await symlink(await path('cat'), join(bin, 'cat'));
    expect(await use(clones)).toBe(head);
  });
});

describe.skipIf(process.platform !== 'linux')('the token', () => {
  let server: GitServer;
  const TOKEN = 'glpat-of-this-test-s3cret';
  beforeEach(async () => {
    // A GitLab that stops in the middle of what it sends.
    server = await startGitServer({ root: dirname(dirname(served.repository.directory)) });
    server.require(TOKEN);
  });
  afterEach(() => server.close());

  test('J6: is on no command line while a fetch hangs, in no file and in no error', async () => {
    const group = dirname(served.repository.directory).split('/').at(-1)!;
    const path = `${group}/${served.project.path.split('/').at(-1)!}`;
    const clones = clonesWith({ GITLAB_URL: server.url, GITLAB_TOKEN: TOKEN });
    const stop = new AbortController();
    server.decide(({ method }) => (method === 'POST' ? { afterBytes: 50_000, then: 'stall' } : null));
    const hanging = clones.use({ id: served.id, path }, mainOf, stop.signal).catch((error: unknown) => error);
    const lines = await eventually(async () => {
      const all = await commandLines();
      expect(all.some((line) => line.includes(server.url) && line.includes('fetch'))).toBe(true);
      expect(server.requests.some(({ method }) => method === 'POST')).toBe(true);
      return all;
    });
    expect(lines.filter((line) => line.includes(TOKEN))).toEqual([]);
    stop.abort(new Error('the test has seen enough'));
    expect(String(await hanging)).toBe('Error: the test has seen enough');
    await eventually(async () => {
      expect((await commandLines()).filter((line) => line.includes(server.url))).toEqual([]);
    });

    server.decide(() => null);
    expect(await clones.use({ id: served.id, path }, mainOf, signal)).toBe(head);
    const { stdout } = await execa(
      'grep',
      ['-rlE', `${TOKEN}|oauth2|${new URL(server.url).host}`, cloneOf(served.id)],
      { reject: false },
    );
    expect(stdout).toBe('');
    server.require('another');
    const refused = await clones.use({ id: served.id, path }, mainOf, signal).catch((error: unknown) => error);
    expect(JSON.stringify([refused, String(refused), (refused as Error).stack])).not.toContain(TOKEN);
    expect(await failure(Promise.reject(refused as Error))).toMatchObject({ type: 'JobFailed' });
  });

  async function commandLines(): Promise<string[]> {
    const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    return Promise.all(
      ids.map(async (id) =>
        (await readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => '')).replaceAll('\u0000', ' '),
      ),
    );
  }
});
