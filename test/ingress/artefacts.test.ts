import { fork } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FolderCache } from '../../src/cache/folder-cache.ts';
import { S3Cache } from '../../src/cache/s3-cache.ts';
import { createRepositoryToken } from '../../src/client/repository-tokens.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository, untrackRepository } from '../../src/database/tracked-repositories.ts';
import { type S3StandIn, startS3StandIn } from '../cache/s3-stand-in.ts';
import { eventually } from '../support/eventually.ts';
import { startTestIngress, type TestIngress } from './ingress.ts';

const QUOTA = 10_000_000;

let ingress: TestIngress;
let folder: string;
let store: S3StandIn;
let repository: number;
let token: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forgeflow-artefacts-'));
  store = await startS3StandIn();
  ingress = await startTestIngress({
    cache: new FolderCache(join(folder, 'cache')),
    cacheQuotaBytes: QUOTA,
    arrivesWithinMs: 500,
  });
  ({ id: repository, token } = await addRepository('acme/shop'));
});
afterAll(async () => {
  await ingress.stop();
  await store.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  ingress.log.length = 0;
  await ingress.database.db.deleteFrom('job_requests').execute();
});

let count = 0;
async function addRepository(path: string, { db } = ingress.database): Promise<{ id: number; token: string }> {
  await upsertRepositories(db, [{ gitlabId: ++count, path }], { groupId: null, at: new Date() });
  const { id } = await db.selectFrom('repositories').select('id').where('path', '=', path).executeTakeFirstOrThrow();
  await trackRepository(db, id);
  return { id, token: (await createRepositoryToken(db, path)).token };
}

interface Asking {
  method?: string;
  at?: TestIngress;
  of?: number | string;
  bearer?: string;
  body?: string | Buffer | ReadableStream<Uint8Array>;
  headers?: Record<string, string>;
}

async function ask(key: string | null, { method = 'GET', at = ingress, of, bearer, body, headers }: Asking = {}) {
  const address = `${at.url}/repositories/${of ?? repository}/artefacts${key === null ? '' : `/${encodeURIComponent(key)}`}`;
  return fetch(address, {
    method,
    headers: { authorization: `Bearer ${bearer ?? token}`, ...headers },
    ...(body !== undefined && { body }),
    ...(body instanceof ReadableStream && { duplex: 'half' as const }),
  });
}
const put = (key: string, body: string | Buffer, asking: Asking = {}) => ask(key, { ...asking, method: 'PUT', body });
const textOf = async (key: string, asking: Asking = {}) => (await ask(key, asking)).text();
const keys = async (asking: Asking = {}) => {
  const { artefacts } = (await (await ask(null, asking)).json()) as { artefacts: { key: string }[] };
  return artefacts.map(({ key }) => key);
};
const requests = async () =>
  (await ingress.database.db.selectFrom('job_requests').select(['kind', 'payload']).execute()).map(
    ({ kind, payload }) => [kind, payload],
  );

describe('U6: artefacts over HTTP', () => {
  test('are put, got, looked for, listed and deleted; each put asks for an eviction, for there is a quota', async () => {
    const created = await put('node_modules/linux 1.tgz', 'first');
    expect([created.status, await created.json()]).toEqual([201, { key: 'node_modules/linux 1.tgz', sizeBytes: 5 }]);
    expect(await requests()).toEqual([['requestCacheEviction', { repositoryId: repository }]]);
    expect((await put('node_modules/linux 1.tgz', 'second')).status).toBe(201);
    expect((await put('empty', '')).status).toBe(201);
    const got = await ask('node_modules/linux 1.tgz');
    expect([got.status, got.headers.get('content-length'), got.headers.get('content-type')]).toEqual([
      200,
      '6',
      'application/octet-stream',
    ]);
    expect(await got.text()).toBe('second');
    expect(await textOf('empty', { of: 'acme%2Fshop' })).toBe('');
    const looked = await ask('node_modules/linux 1.tgz', { method: 'HEAD' });
    expect([looked.status, looked.headers.get('content-length'), await looked.text()]).toEqual([200, '6', '']);
    // Looking for it was no use of it.
    expect(await (await ask(null)).json()).toEqual({
      artefacts: [
        { key: 'empty', sizeBytes: 0, lastUsedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string },
        { key: 'node_modules/linux 1.tgz', sizeBytes: 6, lastUsedAt: expect.any(String) as string },
      ],
      bytes: 6,
      quotaBytes: QUOTA,
    });
    for (const time of [1, 2]) {
      expect((await ask('empty', { method: 'DELETE' })).status, `time ${time}`).toBe(204);
      expect((await ask('empty')).status).toBe(404);
      expect((await ask('empty', { method: 'HEAD' })).status).toBe(404);
    }
    expect(await keys()).toEqual(['node_modules/linux 1.tgz']);
  });

  test("are the repository's own", async () => {
    const other = await addRepository('acme/other');
    await put('mine', 'mine');
    expect((await ask('mine', { of: other.id, bearer: other.token })).status).toBe(404);
    expect(await keys({ of: other.id, bearer: other.token })).toEqual([]);
  });

  test('of several put at the same time under one key, one is there, whole', async () => {
    const texts = Array.from({ length: 8 }, (_, n) => String(n).repeat(200_000 + n));
    const answers = await Promise.all(texts.map((text) => put('crowded', text)));
    expect(answers.map(({ status }) => status)).toEqual(texts.map(() => 201));
    expect(texts).toContain(await textOf('crowded'));
  });

  test('that do not come to their end leave what was there before', async () => {
    await put('kept', 'whole');
    const broken = httpRequest(`${ingress.url}/repositories/${repository}/artefacts/kept`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-length': 100 },
    });
    broken.on('error', () => undefined);
    broken.write('half');
    await new Promise((resolve) => setTimeout(resolve, 100));
    broken.destroy();
    await eventually(async () => {
      const names = await readdir(join(folder, 'cache', String(repository)));
      expect(names.filter((name) => name.startsWith('.partial'))).toEqual([]);
    });
    expect(await textOf('kept')).toBe('whole');
  });

  test('may take longer to come than events do, as may reports', async () => {
    const slow = (method: string, path: string) =>
      new Promise<string>((resolve, reject) => {
        const { port } = new URL(ingress.url);
        const socket = connect(Number(port), '127.0.0.1', () => {
          const head = [`${method} ${path} HTTP/1.1`, 'host: x', `authorization: Bearer ${token}`, 'content-length: 2'];
          socket.write(`${head.join('\r\n')}\r\nconnection: close\r\n\r\na`);
          setTimeout(() => socket.write('b'), 900);
        });
        let answer = '';
        socket.on('data', (piece: Buffer) => (answer += piece.toString()));
        socket.on('error', reject);
        socket.on('close', () => {
          resolve(answer);
        });
      });
    const [artefact, ...others] = await Promise.all([
      slow('PUT', `/repositories/${repository}/artefacts/slow`),
      slow('POST', '/events'),
      slow('POST', `/repositories/${repository}/coverage?sha=${'a'.repeat(40)}`),
      slow('PUT', '/nowhere'),
      slow('PUT', '/%zz'),
    ]);
    expect(artefact).toMatch(/^HTTP\/1\.1 201 /);
    expect(others.slice(0, 1)).toEqual([expect.stringMatching(/^HTTP\/1\.1 (401|408) /)]);
    expect(others[1]).toMatch(/^HTTP\/1\.1 422 /); // a report may too, and this one is read to its end
    expect(others[2]).toMatch(/^HTTP\/1\.1 404 /);
    expect(others[3]).toMatch(/^HTTP\/1\.1 400 /);
    expect(await textOf('slow')).toBe('ab');
  });

  test('U2: of a repository that is removed while one comes, nothing stays', async () => {
    const { db } = ingress.database;
    const doomed = await addRepository('acme/doomed');
    const sending = httpRequest(`${ingress.url}/repositories/${doomed.id}/artefacts/late`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${doomed.token}`, 'content-length': 2 },
    });
    const answered = once(sending, 'response') as Promise<[{ statusCode: number }]>;
    sending.write('a');
    await eventually(async () => {
      expect(await readdir(join(folder, 'cache', String(doomed.id)))).toHaveLength(1);
    });
    await untrackRepository(db, doomed.id);
    sending.end('b');
    expect((await answered)[0].statusCode).toBe(404);
    expect(await readdir(join(folder, 'cache', String(doomed.id)))).toEqual([]);
    expect(await requests()).toEqual([]);
  });

  test.each<[string, number, RegExp, () => Promise<Response>]>([
    ['an unknown repository', 404, /^repository: there is no tracked one/, () => put('a', 'x', { of: 999_999 })],
    ['a wrong token', 401, /^Authorization: /, () => put('a', 'x', { bearer: 'ffr_wrong' })],
    ['a wrong token, to read', 401, /^Authorization: /, () => ask('a', { bearer: 'ffr_wrong' })],
    ['a wrong token, to list', 401, /^Authorization: /, () => ask(null, { bearer: 'ffr_wrong' })],
    ['a key that is too long', 400, /^key: it is too long: more than 240 bytes/, () => put('ü'.repeat(41), 'x')],
    ['a key that there is none of', 404, /^key: there is no artefact of that key$/, () => ask('none')],
    [
      'more than the quota',
      413,
      /^artefact: it is larger than the quota of 10000000 bytes$/,
      () => put('a', Buffer.alloc(QUOTA + 1)),
    ],
    [
      'no length',
      411,
      /^Content-Length: it is missing/,
      () => ask('a', { method: 'PUT', body: new Blob(['x']).stream() as ReadableStream<Uint8Array> }),
    ],
  ])('bad input: %s: %i', async (_, status, message, asking) => {
    const answer = await asking();
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { error: string }).error).toMatch(message);
    expect(await keys()).not.toContain('a');
    expect(JSON.stringify(ingress.log)).not.toContain(token);
  });

  test('bad input: more than 5 GiB, of which nothing is awaited', async () => {
    const sending = httpRequest(`${ingress.url}/repositories/${repository}/artefacts/a`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-length': 5 * 1024 ** 3 + 1 },
    });
    sending.on('error', () => undefined);
    sending.flushHeaders();
    const [{ statusCode }] = (await once(sending, 'response')) as [{ statusCode: number }];
    expect(statusCode).toBe(413);
    sending.destroy();
  });
});

describe('U6: elsewhere', () => {
  test('in an S3 store, without a quota: nothing is asked for; a store that refuses is told of, not quoted', async () => {
    const wrong = { ...store.settings, secretAccessKey: 'wrong-secret' };
    const options = [{ cache: new S3Cache(store.settings) }, { cache: new S3Cache(wrong) }, {}];
    const [good, refused, off] = await Promise.all(options.map((one) => startTestIngress(one)));
    const at = async (one: TestIngress) => {
      const { id, token: bearer } = await addRepository(`acme/elsewhere-${++count}`, one.database);
      return { at: one, of: id, bearer };
    };
    const there = await at(good!);
    const text = 'x'.repeat(300_000);
    expect((await put('a', text, there)).status).toBe(201);
    expect(await textOf('a', there)).toBe(text);
    expect((await ask('a', { ...there, method: 'HEAD' })).headers.get('content-length')).toBe('300000');
    expect(await (await ask(null, there)).json()).toMatchObject({ bytes: 300_000, quotaBytes: null });
    expect(await good!.database.db.selectFrom('job_requests').select('kind').execute()).toEqual([]);
    const answer = await ask('a', await at(refused!));
    expect([answer.status, await answer.text()]).toEqual([
      503,
      expect.not.stringMatching(/secret|Signature/i) as string,
    ]);
    expect(JSON.stringify(refused!.log)).toContain('the S3 store answered with 403 (SignatureDoesNotMatch)');
    const none = await ask('a', await at(off!));
    expect([none.status, await none.json()]).toEqual([404, { error: 'the cache is off (CACHE)' }]);
    await Promise.all([good!.stop(), refused!.stop(), off!.stop()]);
  });

  test('64 MiB go in and out of a process that has not the memory for them', async () => {
    const child = fork(fileURLToPath(new URL('../support/ingress-program.ts', import.meta.url)), [], {
      env: {
        PATH: process.env['PATH'],
        DATABASE_URL: ingress.database.url,
        INGRESS_TOKEN: 'the-token-of-this-test-ingress',
        CACHE: 'folder',
        STORAGE_DIR: folder,
      },
      execArgv: ['--max-old-space-size=48', '--max-semi-space-size=2', '--import', import.meta.resolve('tsx')],
    });
    try {
      const [url] = (await once(child, 'message')) as [string];
      const peak = async () => {
        child.send('memory');
        return ((await once(child, 'message')) as [number])[0];
      };
      const address = `${url}/repositories/${repository}/artefacts/large`;
      const piece = randomBytes(1024 * 1024);
      const hash = createHash('sha256');
      const send = async (pieces: number) => {
        const sending = httpRequest(address, {
          method: 'PUT',
          headers: { authorization: `Bearer ${token}`, 'content-length': pieces * piece.length },
        });
        const answered = once(sending, 'response') as Promise<[{ statusCode: number }]>;
        for (let n = 0; n < pieces; n++) if (!sending.write(piece)) await once(sending, 'drain');
        sending.end();
        return (await answered)[0].statusCode;
      };
      expect(await send(8)).toBe(201);
      await peak();
      const before = await peak();
      expect(await send(64)).toBe(201);
      const response = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
      for await (const part of response.body!) hash.update(part as Uint8Array);
      const grown = (await peak()) - before;
      const expected = createHash('sha256');
      for (let n = 0; n < 64; n++) expected.update(piece);
      expect(hash.digest('hex')).toBe(expected.digest('hex'));
      expect(grown).toBeLessThan(32 * 1024 * 1024);
    } finally {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    }
  }, 60_000);
});
