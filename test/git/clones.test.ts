import { createHash } from 'node:crypto';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Clones } from '../../src/git/clones.ts';
import { trialMerge } from '../../src/git/merge.ts';
import { branchHead, defaultBranch, hasCommit, mergeRequestHead } from '../../src/git/refs.ts';
import { fetchingProcess, fill, MAIN, processesOf, type Project, startProject, work } from '../support/git-project.ts';
import { createRepository } from '../support/git-repository.ts';

let project: Project;
let repository: Project['repository'];
let server: Project['server'];
let clones: Project['clones'];
let remote: Project['remote'];
let storage: string;

beforeEach(async () => {
  project = await startProject();
  ({ repository, server, clones, remote, storage } = project);
});

afterEach(() => project.close());

describe('fetching a repository', () => {
  test('J6: the first time makes a bare clone with all branches and the heads of merge requests', async () => {
    const ids = await fill(repository);
    const clone = await clones.fetch(12, remote);
    expect(clone.directory).toBe(join(storage, 'repositories', '12.git'));
    expect(await branchHead(clone, 'main')).toBe(ids[1]);
    expect(await branchHead(clone, 'topic/one')).toBe(ids[2]);
    expect(await mergeRequestHead(clone, 7)).toBe(ids[3]);
    expect(await mergeRequestHead(clone, 8)).toBeNull();
    expect(await defaultBranch(clone)).toBe('main');
    expect(await hasCommit(clone, ids[0]!)).toBe(true);
    expect(await hasCommit(clone, ids[4]!)).toBe(false); // only a tag leads there
    expect(await project.names()).toEqual(['12.git', '12.lock']);
    expect(await clones.ids()).toEqual([12]);
    expect((await readdir(join(clone.directory, 'hooks')).catch(() => [])).length).toBe(0);
  });

  test('J6: later it brings what is new, follows branches that were pushed over, and drops those that are gone', async () => {
    const ids = await fill(repository);
    const clone = await clones.fetch(1, remote);
    const [other, below] = await repository.commit(
      { ref: MAIN, parents: [0], tree: { other: '' } },
      { ref: 'refs/heads/next', parents: [0], tree: { next: '' } },
    );
    await repository.git('update-ref', '-d', 'refs/heads/topic/one');
    await repository.git('update-ref', 'refs/heads/topic', below!); // a file where a folder was
    await repository.git('symbolic-ref', 'HEAD', 'refs/heads/next');
    await clones.fetch(1, remote);
    expect(await branchHead(clone, 'main')).toBe(other);
    expect(await branchHead(clone, 'topic')).toBe(below);
    expect(await branchHead(clone, 'topic/one')).toBeNull();
    expect(await mergeRequestHead(clone, 7)).toBe(ids[3]);
    expect(await defaultBranch(clone)).toBe('next');
    const before = server.requests.length;
    await clones.fetch(1, remote);
    expect(server.requests.length - before).toBeLessThanOrEqual(4);
  });

  test('J6: names are names, not revisions or patterns', async () => {
    await fill(repository);
    const clone = await clones.fetch(1, remote);
    for (const name of ['main~1', 'main^{tree}', 'topic', 'topic/*', 'm*', '', '../main', '@', '-h', 'HEAD']) {
      expect(await branchHead(clone, name)).toBeNull();
    }
  });

  test('J6: an empty repository, and one with other hashes', async () => {
    const clone = await clones.fetch(1, remote);
    expect([await defaultBranch(clone), await branchHead(clone, 'main')]).toEqual([null, null]);
    await fill(repository);
    await clones.fetch(1, remote);
    expect(await defaultBranch(clone)).toBe('main');

    const modern = await createRepository(join(repository.directory, '..', 'modern.git'), { objectFormat: 'sha256' });
    const [first, second] = await modern.commit(
      { ref: MAIN, tree: { a: '1' } },
      { ref: 'refs/heads/b', parents: [0], tree: {} },
    );
    const wide = await clones.fetch(2, { ...remote, url: `${server.url}/modern.git` });
    expect(await branchHead(wide, 'main')).toBe(first);
    expect(await trialMerge(wide, { base: first!, head: second! })).toMatchObject({ clean: true });
  });

  test('J6: a remote whose HEAD names no branch', async () => {
    await fill(repository);
    const clone = await clones.fetch(1, remote);
    await repository.git('symbolic-ref', 'HEAD', 'refs/heads/gone');
    await repository.git('update-ref', '-d', MAIN);
    await clones.fetch(1, remote);
    expect([await branchHead(clone, 'main'), await defaultBranch(clone)]).toEqual([null, null]);
    expect(await branchHead(clone, 'topic/one')).not.toBeNull();
  });

  test('J6: what piled up is tidied up before the fetch ends', async () => {
    await fill(repository);
    const { directory } = await clones.fetch(1, remote);
    // git looks at one of the 256 folders of loose objects and guesses.
    const folder = join(directory, 'objects', '17');
    await mkdir(folder, { recursive: true });
    for (let content = 0; (await readdir(folder)).length < 40; content += 1) {
      const blob = Buffer.from(`blob ${String(content).length}\0${content}`);
      const id = createHash('sha1').update(blob).digest('hex');
      if (!id.startsWith('17')) continue;
      await writeFile(join(folder, id.slice(2)), deflateSync(blob));
      await utimes(join(folder, id.slice(2)), 0, 0);
    }
    await clones.fetch(1, remote);
    expect(await readdir(folder).catch(() => [])).toEqual([]);
    expect(await work(clones.open(1))).toBeTruthy();
  });

  test('J6: size on disk, and removal', async () => {
    await fill(repository);
    expect(await clones.sizeBytes(1)).toBe(0);
    await clones.remove(1);
    await clones.fetch(1, remote);
    expect(await clones.sizeBytes(1)).toBeGreaterThan(200_000);
    await clones.remove(1);
    expect(await clones.sizeBytes(1)).toBe(0);
    expect(await project.names()).toEqual([]);
    await expect(defaultBranch(clones.open(1))).rejects.toMatchObject({ kind: 'corrupt' });
  });
});

describe('what goes wrong with the server', () => {
  test.each([
    ['404', { status: 404 }, 'not_found'],
    ['403', { status: 403 }, 'unauthorized'],
    ['429', { status: 429 }, 'unreachable'],
    ['500', { status: 500 }, 'unreachable'],
    ['503', { status: 503 }, 'unreachable'],
    ['a web page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, 'unreachable'],
    [
      'a web page of several lines',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>\n<p>maintenance\n' },
      'unreachable',
    ],
    ['nothing', { status: 200 }, 'unreachable'],
    ['a cut answer', { afterBytes: 20, then: 'cut' as const }, 'unreachable'],
    [
      'a redirect to itself',
      { status: 302, headers: { location: '/project.git/info/refs?service=git-upload-pack' } },
      'unreachable',
    ],
  ])('J6: it answers with %s', async (_, fate, kind) => {
    await fill(repository);
    server.decide(() => fate);
    await expect(clones.fetch(1, remote)).rejects.toMatchObject({ name: 'GitError', kind });
    expect(await clones.ids()).toEqual([]);
    server.decide(() => null);
    await clones.fetch(1, remote);
    server.decide(() => fate);
    await expect(clones.fetch(1, remote)).rejects.toMatchObject({ name: 'GitError', kind });
    expect(await work(clones.open(1))).toBeTruthy(); // what is there is not touched
    expect(await project.names()).toEqual(['1.git', '1.lock']);
  });

  test('J6: it is not there, or has no such repository', async () => {
    await expect(clones.fetch(1, { ...remote, url: `${server.url}/other.git` })).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(clones.fetch(1, { ...remote, url: 'http://127.0.0.1:1/x.git' })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('could not be connected') as string,
    });
    await expect(clones.fetch(1, { ...remote, url: 'http://nowhere.invalid/x.git' })).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('name was not found') as string,
    });
  });

  test.each([1_000, 50_000, 150_000])('J6: it cuts the pack off after %d bytes', async (afterBytes) => {
    await fill(repository);
    server.decide(({ method }) => (method === 'POST' ? { afterBytes, then: 'cut' } : null));
    await expect(clones.fetch(1, remote)).rejects.toMatchObject({ kind: 'unreachable' });
    server.decide(() => null);
    expect(await work(await clones.fetch(1, remote))).toBeTruthy();
    expect(await project.names()).toEqual(['1.git', '1.lock']);
  });

  test('J6: it falls silent: the time that the caller gave ends it, with git and its helpers', async () => {
    await fill(repository);
    server.decide(({ method }) => (method === 'POST' ? { afterBytes: 20_000, then: 'stall' } : null));
    await expect(clones.fetch(1, remote, { timeoutMs: 1_500 })).rejects.toMatchObject({ kind: 'timeout' });
    const stop = new AbortController();
    const fetching = clones.fetch(1, remote, { signal: stop.signal });
    setTimeout(() => {
      stop.abort(new Error('the worker ends'));
    }, 1_000);
    await expect(fetching).rejects.toThrow('the worker ends');
    server.decide(() => null);
    await clones.fetch(1, remote);
    expect(await processesOf(project)).toEqual([]);
  });
});

describe('several at once', () => {
  test('J6: callers in one process share a fetch that begins after they came', async () => {
    await fill(repository);
    const done = await Promise.all(Array.from({ length: 20 }, () => clones.fetch(1, remote)));
    expect(new Set(done.map(({ directory }) => directory)).size).toBe(1);
    const advertisements = server.requests.filter(({ path }) => path.includes('info/refs')).length;
    expect(advertisements).toBeLessThanOrEqual(2 * 2 + 1);

    server.decide(() => ({ delayMs: 100 }));
    const running = clones.fetch(1, remote);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const [news] = await repository.commit({ ref: MAIN, parents: [1], tree: { news: '' } });
    const stop = new AbortController();
    const leaving = clones.fetch(1, remote, { signal: stop.signal });
    const staying = clones.fetch(1, remote);
    stop.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    expect(await branchHead(await staying, 'main')).toBe(news);
    await running;
  });

  test('J6: several processes, and readers, while branches come and go: nothing breaks', async () => {
    await fill(repository);
    const others = Promise.all([fetchingProcess(project, 6), fetchingProcess(project, 6)]);
    const state = { done: false };
    void others.then(() => (state.done = true));
    const mine = Array.from({ length: 3 }, () => new Clones(project.git, storage));
    for (let round = 0; !state.done; round += 1) {
      await changeBranches(round);
      await Promise.all(mine.map(async (own) => work(await own.fetch(1, remote))));
    }
    for (const { stdout, stderr, exitCode } of await others) {
      expect({ stdout, stderr, exitCode }).toEqual({ stdout: 'done', stderr: '', exitCode: 0 });
    }
    expect(await project.names()).toEqual(['1.git', '1.lock']);
    await execa('git', ['fsck', '--strict'], { cwd: clones.open(1).directory });
  });

  /** Ten branches, of which in every other round one folder is a branch. */
  async function changeBranches(round: number): Promise<void> {
    const [head] = await repository.commit({ ref: MAIN, parents: [0], tree: { round: String(round) } });
    const inFolder = Array.from({ length: 10 }, (_, at) => `refs/heads/folder/${at}`);
    const [gone, there] = round % 2 === 0 ? [['refs/heads/folder'], inFolder] : [inFolder, ['refs/heads/folder']];
    const update = (lines: string[]) =>
      execa('git', ['update-ref', '--stdin'], { cwd: repository.directory, input: lines.join('\n') + '\n' });
    await update(gone.map((ref) => `delete ${ref}`));
    await update(there.map((ref) => `update ${ref} ${head!}`));
  }

  test('J6: removal waits for a fetch', async () => {
    await fill(repository);
    server.decide(() => ({ delayMs: 50 }));
    const fetching = clones.fetch(1, remote);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await Promise.all([clones.remove(1), fetching, new Clones(project.git, storage).remove(1)]);
    expect(await project.names()).toEqual([]);
    await clones.fetch(1, remote);
    expect(await clones.ids()).toEqual([1]);
  });
});
