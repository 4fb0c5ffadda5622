import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { explain } from '../../src/git/git-error.ts';
import { createGit, type Git } from '../../src/git/git.ts';
import { withLock } from '../../src/git/lock.ts';
import { runGit, streamGit } from '../../src/git/run.ts';
import { createRepository, temporaryFolder } from '../support/git-repository.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let git: Git;

beforeAll(async () => {
  folder = await temporaryFolder();
  git = await createGit();
});

afterAll(() => folder.remove());

let programs = 0;

/** A program in git's place. */
async function pretend(script: string): Promise<string> {
  programs += 1;
  const place = join(folder.path, `program-${programs}`);
  await mkdir(place);
  await writeFile(join(place, 'git'), `#!/bin/sh\n${script}\n`);
  await chmod(join(place, 'git'), 0o755);
  return `${place}${delimiter}/usr/bin${delimiter}/bin`;
}

describe('the git program', () => {
  test.each([
    ['git version 2.37.9', false, '2.37.9'],
    ['git version 1.99.0', false, '1.99.0'],
    ['git version 2.38.0', true, ''],
    ['git version 2.50.1 (Apple Git-155)', true, ''],
    ['git version 3.0.0-rc1', true, ''],
    ['something else', false, 'another program'],
  ])('J6: %s', async (line, isEnough, named) => {
    const creating = createGit({ path: await pretend(`echo '${line}'`) });
    if (isEnough) await creating;
    else
      await expect(creating).rejects.toMatchObject({
        kind: 'failed',
        message: `git 2.38 or newer is needed; this is ${named}`,
      });
  });

  test('J6: is missing, or cannot be run', async () => {
    const missing = createGit({ program: 'no-git-of-that-name' });
    await expect(missing).rejects.toMatchObject({
      kind: 'failed',
      message: 'the program no-git-of-that-name was not found',
    });
    const path = join(folder.path, 'not-executable');
    await writeFile(path, '');
    await expect(createGit({ program: path })).rejects.toMatchObject({
      name: 'GitError',
      message: expect.stringContaining('EACCES') as string,
    });
  });

  test('J6: finds nothing of our environment in its own', async () => {
    vi.stubEnv('GIT_TRACE_CURL', '/tmp/trace');
    vi.stubEnv('GIT_DIR', '/elsewhere');
    vi.stubEnv('GITLAB_TOKEN', 'secret');
    vi.stubEnv('HOME', '/home/someone');
    const { stdout } = await runGit({ ...git, path: await pretend('env') }, { args: ['status'] });
    vi.unstubAllEnvs();
    const found = stdout.toString();
    for (const trace of ['GIT_TRACE_CURL', '/elsewhere', 'secret', '/home/someone']) expect(found).not.toContain(trace);
    for (const set of [
      'GIT_TERMINAL_PROMPT=0',
      'GIT_CONFIG_NOSYSTEM=1',
      'GIT_CONFIG_GLOBAL=/dev/null',
      'LC_ALL=C',
      'GIT_ALLOW_PROTOCOL=\n',
    ]) {
      expect(found).toContain(set);
    }
  });

  test("J6: runs no hook, and takes no notice of the user's configuration", async () => {
    const repository = await createRepository(join(folder.path, 'hooked.git'));
    const [commit] = await repository.commit({ ref: 'refs/heads/main', tree: { a: 'a' } });
    const hook = join(repository.directory, 'hooks', 'reference-transaction');
    await mkdir(join(repository.directory, 'hooks'), { recursive: true });
    await writeFile(hook, `#!/bin/sh\ntouch ${folder.path}/hooked\n`);
    await chmod(hook, 0o755);
    await runGit(git, { args: ['update-ref', 'refs/heads/other', commit!], gitDirectory: repository.directory });
    await expect(readFile(join(folder.path, 'hooked'))).rejects.toMatchObject({ code: 'ENOENT' });
    const { stdout } = await runGit(git, {
      args: ['config', '--list', '--show-scope'],
      gitDirectory: repository.directory,
    });
    expect(stdout.toString()).not.toMatch(/^(system|global)/m);
  });
});

describe('running it', () => {
  const stubborn = "trap '' TERM; sleep 30 & wait; sleep 30";

  test('J6: what it prints is bounded', async () => {
    const path = await pretend('yes');
    await expect(runGit({ ...git, path }, { args: ['log'], stdoutLimitBytes: 100_000 })).rejects.toMatchObject({
      kind: 'failed',
      message: 'git log printed more than 100000 bytes',
    });
    const noisy = await pretend('head -c 10000000 /dev/zero | tr "\\0" x >&2; echo "\nfatal: at last" >&2; exit 3');
    const error = (await runGit({ ...git, path: noisy }, { args: ['log'] }).catch(
      (thrown: unknown) => thrown,
    )) as Error;
    expect(error.message).toBe('git log ended with exit code 3: fatal: at last');
  });

  test('J6: it reads what it is given; that it does not read all is no error', async () => {
    expect(
      (await runGit({ ...git, path: await pretend('cat') }, { args: ['x'], input: 'abc' })).stdout.toString(),
    ).toBe('abc');
    await runGit({ ...git, path: await pretend('exit 0') }, { args: ['x'], input: Buffer.alloc(1e6) });
  });

  test('J6: a timeout and an abort end it and its children, also when they do not listen', async () => {
    const path = await pretend(stubborn);
    const before = Date.now();
    await expect(runGit({ ...git, path }, { args: ['gc'], timeoutMs: 200 })).rejects.toMatchObject({
      kind: 'timeout',
      message: 'git gc was not done within 200 ms',
    });
    const stop = new AbortController();
    const running = runGit({ ...git, path }, { args: ['gc'], signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await expect(runGit(git, { args: ['version'], signal: stop.signal })).rejects.toThrow('enough');
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  test('J6: whoever stops reading ends it', async () => {
    const stream = streamGit({ ...git, path: await pretend('yes') }, { args: ['log'] });
    expect((await stream.next()).done).toBe(false);
    await stream.return(undefined);
    await expect(stream.next()).resolves.toMatchObject({ done: true });
  });
});

describe('its errors', () => {
  const failure = { command: 'fetch', exitCode: 128, secrets: ['t0ken'] };

  test('J6: an unknown one is told in its own words, without secrets, credentials, odd characters, or what a server says', () => {
    const stderr = 'remote: fatal: hello\nwarning: x\nfatal: odd \u001b[31m https://me:word@host/x t0ken\n';
    expect(explain({ ...failure, stderr })).toMatchObject({
      kind: 'failed',
      message: 'git fetch ended with exit code 128: fatal: odd ?[31m https://host/x ***',
    });
    expect(explain({ ...failure, exitCode: null, stderr: '' }).message).toBe('git fetch was ended by a signal');
    expect(explain({ ...failure, stderr: `fatal: ${'x'.repeat(5_000)}` }).message.length).toBeLessThan(300);
  });

  test('J6: a server cannot make a clone look broken', () => {
    const stderr =
      "remote: fatal: bad object HEAD\nfatal: unable to access 'http://x/': The requested URL returned error: 500\n";
    expect(explain({ ...failure, stderr })).toMatchObject({ kind: 'unreachable' });
    expect(explain({ ...failure, stderr: 'remote: error: object file is empty\n' })).toMatchObject({ kind: 'failed' });
    expect(explain({ ...failure, stderr: 'fatal: remote error: bad object HEAD\n' })).toMatchObject({
      kind: 'unreachable',
    });
  });

  test('J6: the words of a URL mean nothing', () => {
    const stderr = "fatal: unable to access 'https://x/gnutls/OpenSSL.git/': The requested URL returned error: 500\n";
    expect(explain({ ...failure, stderr }).message).toBe('git fetch: the server answered with an error');
  });
});

describe('the lock', () => {
  const path = (): string => join(folder.path, 'a.lock');

  test('J6: lets one in at a time; who waits can leave; an error gives it up', async () => {
    let inside = 0;
    const enter = (): Promise<number> =>
      withLock({ git, path: path() }, async () => {
        inside += 1;
        expect(inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 10));
        return (inside -= 1);
      });
    await Promise.all(Array.from({ length: 10 }, enter));
    await expect(withLock({ git, path: path() }, () => Promise.reject(new Error('of the work')))).rejects.toThrow(
      'of the work',
    );
    const signal = AbortSignal.timeout(100);
    await withLock({ git, path: path() }, async () => {
      await expect(withLock({ git, path: path(), signal }, enter)).rejects.toMatchObject({ name: 'TimeoutError' });
    });
    await enter();
  });

  test('J6: its file may be taken away by whoever holds it', async () => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 5 }, (_, at) =>
        withLock({ git, path: path() }, async (lock) => {
          order.push(at);
          await lock.removeFile();
        }),
      ),
    );
    expect(order.sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test('J6: a git that holds it keeps the next one out until it has ended', async () => {
    const slow = { ...git, path: await pretend('sleep 0.6') };
    const before = Date.now();
    let running: Promise<unknown> = Promise.resolve();
    await withLock({ git, path: path() }, (lock) => {
      running = runGit(slow, { args: ['fetch'], lock: lock.fd });
      return Promise.resolve();
    });
    await withLock({ git, path: path() }, () => Promise.resolve());
    expect(Date.now() - before).toBeGreaterThan(550);
    await running;
  });

  test('J6: without the program flock it says so', async () => {
    await expect(
      withLock({ git: { ...git, path: '/nowhere' }, path: path() }, () => Promise.resolve()),
    ).rejects.toMatchObject({
      kind: 'failed',
      message: 'the program flock could not lock the clone: it was not found',
    });
  });
});
