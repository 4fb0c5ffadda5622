import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Clones } from '../../src/git/clones.ts';
import type { Remote } from '../../src/git/credentials.ts';
import { createGit } from '../../src/git/git.ts';
import { createRepository, temporaryFolder } from '../support/git-repository.ts';
import { type Fate, type GitRequest, type GitServer, startGitServer } from '../support/git-server.ts';

const TOKEN = 'glpat-s3cret~Token_of$the.test%21';
const TRACES = [TOKEN, encodeURIComponent(TOKEN), Buffer.from(`oauth2:${TOKEN}`).toString('base64')];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: GitServer;
let clones: Clones;
let remote: Remote;

beforeEach(async () => {
  folder = await temporaryFolder();
  const repository = await createRepository(join(folder.path, 'server', 'group', 'project.git'));
  await repository.commit({ ref: 'refs/heads/main', tree: { a: 'a' } });
  server = await startGitServer({ root: join(folder.path, 'server') });
  server.require(TOKEN);
  clones = new Clones(await createGit(), join(folder.path, 'storage'));
  remote = { url: `${server.url}/group/project.git`, token: TOKEN, allowHttp: true };
});

afterEach(async () => {
  await server.close();
  await folder.remove();
});

interface Process {
  commandLine: string;
  environment: string;
}

/** All processes of this machine, ours among them. */
async function processes(): Promise<Process[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const read = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '');
  return Promise.all(
    ids.map(async (id) => ({
      commandLine: await read(`/proc/${id}/cmdline`),
      environment: await read(`/proc/${id}/environ`),
    })),
  );
}

async function contentsBelow(path: string): Promise<string> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(3);
  return (await Promise.all(files.map((file) => readFile(file, 'latin1')))).join('\n') + files.join('\n');
}

function expectNoTrace(text: string): void {
  for (const trace of TRACES) expect(text.includes(trace)).toBe(false);
}

describe.skipIf(process.platform !== 'linux')('the token, while git runs', () => {
  test('J6: stands on no command line of git or its helpers, and in the environment of those alone', async () => {
    server.decide(() => ({ delayMs: 150 }));
    const seen = new Map<string, Process>(); // by command line
    const state = { done: false };
    const fetching = clones.fetch(1, remote).finally(() => {
      state.done = true;
    });
    while (!state.done) {
      for (const { commandLine, environment } of await processes()) {
        seen.set(commandLine, { commandLine, environment: (seen.get(commandLine)?.environment ?? '') + environment });
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await fetching;
    const all = [...seen.values()];
    for (const { commandLine } of all) expectNoTrace(commandLine);
    const knowing = all.filter(({ environment }) => environment.includes(TOKEN)).map(({ commandLine }) => commandLine);
    expect(knowing.some((line) => line.includes('git-remote-http') || line.includes('remote-http'))).toBe(true);
    expect(knowing.every((line) => /git|sh\0|cat/.test(line))).toBe(true);
  });
});

describe('the token', () => {
  test('J6: gets in, is asked for once by each connection, and stands in no file of the clone', async () => {
    const { directory } = await clones.fetch(1, remote);
    expect(server.requests.some(({ authorization }) => authorization === `Basic ${TRACES[2]!}`)).toBe(true);
    expectNoTrace(await contentsBelow(join(folder.path, 'storage')));
    expect(await readFile(join(directory, 'config'), 'utf8')).not.toContain(server.url);
  });

  test('J6: a wrong one is refused, in words that do not repeat it', async () => {
    for (const token of ['wrong-token', undefined]) {
      const error: unknown = await clones.fetch(1, { ...remote, token }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        kind: 'unauthorized',
        message: expect.stringContaining('refused the credentials') as string,
      });
      expect(JSON.stringify([error, String(error), (error as Error).stack])).not.toContain('wrong-token');
    }
    server.require(null);
    server.decide(() => ({ status: 403, body: TOKEN }));
    await expect(clones.fetch(1, remote)).rejects.toMatchObject({ kind: 'unauthorized' });
  });

  test('J6: is not repeated from what the server says', async () => {
    server.require(null);
    const flush = '0000';
    const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
    const body = `${line('# service=git-upload-pack\n')}${flush}${line(`ERR ${TOKEN} ${TRACES[2]!} https://me:word@host/\n`)}`;
    server.decide(() => ({
      status: 200,
      headers: { 'content-type': 'application/x-git-upload-pack-advertisement' },
      body,
    }));
    const error = (await clones.fetch(1, remote).catch((thrown: unknown) => thrown)) as Error;
    expectNoTrace(`${error.message} ${error.stack ?? ''}`);
    expect(error.message).not.toContain('word');
  });

  test.each([
    ['another host', true],
    ['another port', false],
  ])('J6: does not follow a redirect to %s, before or after it was asked for', async (_, isOtherHost) => {
    const other = await startGitServer({ root: join(folder.path, 'server') });
    const origin = isOtherHost ? `http://localhost:${new URL(other.url).port}` : other.url;
    const redirect = ({ path }: GitRequest): Fate => ({ status: 302, headers: { location: origin + path } });
    try {
      other.require('another token');
      server.decide(redirect);
      await expect(clones.fetch(1, remote)).rejects.toMatchObject({ kind: 'unauthorized' });
      server.decide((request) => (request.authorization === undefined ? null : redirect(request)));
      await expect(clones.fetch(1, remote)).rejects.toMatchObject({ name: 'GitError' });
      expect(server.requests.some(({ authorization }) => authorization !== undefined)).toBe(true);
      other.require(null);
      await expect(clones.fetch(1, remote)).rejects.toMatchObject({ name: 'GitError' });
      server.decide(redirect); // one that wants no credentials is followed
      await clones.fetch(1, remote);
      expect(other.requests.length).toBeGreaterThan(5);
      expect(other.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test('J6: follows a redirect within its server', async () => {
    server.decide(({ path }) =>
      path.startsWith('/old') ? { status: 301, headers: { location: path.replace('/old', '/group') } } : null,
    );
    await clones.fetch(1, { ...remote, url: `${server.url}/old/project.git` });
    expect(await clones.ids()).toEqual([1]);
  });

  test.each([
    ['https://me:word@127.0.0.1/x.git', 'contains credentials'],
    ['https://me@127.0.0.1/x.git', 'contains credentials'],
    ['file:///etc', 'scheme "file"'],
    ['ext::sh -c id', 'scheme "ext"'],
    ['--upload-pack=id', 'is none'],
    ['/etc', 'is none'],
  ])('J6: the URL %s is refused', async (url, words) => {
    const error = (await clones.fetch(1, { ...remote, url }).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ kind: 'failed', message: expect.stringContaining(words) as string });
    expect(error.message).not.toContain('word@');
  });

  test('J6: plain HTTP is refused unless it is allowed, also when HTTPS redirects to it', async () => {
    await expect(clones.fetch(1, { ...remote, allowHttp: false })).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('scheme "http"') as string,
    });
    const secure = await startGitServer({ root: join(folder.path, 'server'), tls: true });
    const caFile = new URL('../support/localhost-cert.pem', import.meta.url).pathname;
    try {
      const trusting = new Clones(await createGit({ caFile }), join(folder.path, 'storage'));
      const url = `${secure.url}/group/project.git`;
      await trusting.fetch(2, { url });
      secure.decide(({ path }) => ({ status: 302, headers: { location: server.url + path } }));
      server.require(null);
      const before = server.requests.length;
      await expect(trusting.fetch(3, { url })).rejects.toMatchObject({ name: 'GitError' });
      expect(server.requests.length).toBe(before);
      // Without that file nobody vouches for it.
      await expect(clones.fetch(4, { url })).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('TLS') as string,
      });
    } finally {
      await secure.close();
    }
  });

  test('J6: a token that could not stand in a header is refused', async () => {
    for (const token of ['a\nb', 'a b', '', 'ü']) {
      await expect(clones.fetch(1, { ...remote, token })).rejects.toMatchObject({ kind: 'failed' });
    }
  });
});
