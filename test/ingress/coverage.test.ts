import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Coverage } from '../../src/client/coverage.ts';
import { createRepositoryToken, revokeRepositoryToken } from '../../src/client/repository-tokens.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { COVERAGE_LIMIT } from '../../src/domain/coverage.ts';
import { REPORT_HOLD_MS } from '../../src/domain/coverage-report.ts';
import { type Answer, startTestIngress, TOKEN, type TestIngress } from './ingress.ts';

const SHA = '0150dd59a3c1ec9b2d8d6b2a52a8d7c3c1f0e4b7';
const LCOV = 'SF:src/a.ts\nDA:1,1\nDA:2,0\nend_of_record\n';
const COBERTURA = `<?xml version="1.0"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage><packages><package><classes><class filename="src/a.ts"><lines><line number="1" hits="3"/></lines></class></classes></package></packages></coverage>
`;

let ingress: TestIngress;
let repository: number;
let token: string;
let other: string;
beforeAll(async () => {
  ingress = await startTestIngress();
  const { db } = ingress.database;
  const paths = ['acme/shop', 'acme/other', 'acme/untracked'];
  const seen = paths.map((path, at) => ({ gitlabId: at + 1, path }));
  await upsertRepositories(db, seen, { groupId: null, at: new Date() });
  const ids = await db.selectFrom('repositories').select(['id', 'path']).execute();
  for (const { id, path } of ids) if (path !== 'acme/untracked') await trackRepository(db, id);
  repository = ids.find(({ path }) => path === 'acme/shop')!.id;
  ({ token } = await createRepositoryToken(db, 'acme/shop'));
  ({ token: other } = await createRepositoryToken(db, 'acme/other'));
});
afterAll(() => ingress.stop());
beforeEach(async () => {
  ingress.log.length = 0;
  await ingress.database.db.deleteFrom('coverage_reports').execute();
  await ingress.database.db.deleteFrom('job_requests').execute();
});

interface Sending {
  to?: string | number;
  query?: string;
  headers?: Record<string, string>;
}

type Body = string | Buffer | ReadableStream<Uint8Array>;

async function send(body: Body | undefined, given: Sending = {}): Promise<Answer> {
  const { to = repository, query = `?sha=${SHA}`, headers = { authorization: `Bearer ${token}` } } = given;
  const response = await fetch(`${ingress.url}/repositories/${to}/coverage${query}`, {
    method: 'POST',
    headers,
    ...(body !== undefined && { body }),
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

const reports = () => ingress.database.db.selectFrom('coverage_reports').selectAll().orderBy('id').execute();
const requests = async () =>
  (await ingress.database.db.selectFrom('job_requests').select(['kind', 'payload']).orderBy('id').execute()).map(
    ({ kind, payload }) => ({ kind, payload }),
  );

const SAME_LINES = Buffer.from(lcovFile(0)).subarray('SF:src/folder/file-0.ts\n'.length);

/** LCOV of so many bytes, cut off there, or whole and a little less; made as it is sent, so that nobody has all of it. */
function stream(bytes: number, { whole = false } = {}): ReadableStream<Uint8Array> {
  let file = 0;
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const text = Buffer.concat([Buffer.from(`SF:src/folder/file-${file++}.ts\n`), SAME_LINES]);
      if (left <= 0 || (whole && text.length > left)) {
        controller.close();
        return;
      }
      controller.enqueue(text.subarray(0, left));
      left -= text.length;
    },
  });
}

function lcovFile(number: number): string {
  const lines = Array.from({ length: 5_000 }, (_, at) => `DA:${at + 1},${(at * 7 + number) % 5}\n`);
  return `SF:src/folder/file-${number}.ts\n${lines.join('')}end_of_record\n`;
}

describe('U5: a report that is sent with the token of its repository', () => {
  test.each<[string, string | Buffer, Sending]>([
    ['LCOV', LCOV, {}],
    ['Cobertura', COBERTURA, {}],
    ['to the repository by its path', LCOV, { to: 'acme%2Fshop' }],
    ['to the repository by its path in other letters', LCOV, { to: 'Acme%2FShop' }],
    ['with the commit in capitals', LCOV, { query: `?sha=${SHA.toUpperCase()}` }],
  ])('%s: is taken in, held until its commit comes, and its job asked for', async (_, body, sending) => {
    const before = Date.now();
    const { status, body: answer } = await send(body, sending);
    const [report, another] = await reports();
    expect([status, answer]).toEqual([
      202,
      {
        reportId: report!.id,
        sha: SHA,
        state: 'held',
        heldUntil: new Date(report!.received_at.getTime() + REPORT_HOLD_MS).toISOString(),
      },
    ]);
    expect(another).toBeUndefined();
    expect(report).toMatchObject({ repository_id: repository, sha: SHA, state: 'held', size_bytes: body.length });
    expect(report!.received_at.getTime()).toBeGreaterThan(before - 1_000);
    expect(String(gunzipSync(report!.content!))).toBe(body);
    expect(await requests()).toEqual([
      { kind: 'processCoverage', payload: { repositoryId: repository, sha: SHA, report: report!.id } },
    ]);
    expect(JSON.stringify(ingress.log)).not.toContain(token);
  });

  test.each([
    'text/plain',
    'application/json',
    'application/xml; charset=utf-8',
    'application/x-www-form-urlencoded',
    'no type',
  ])('whatever its content type says: %s', async (type) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type };
    expect((await send(Buffer.from(LCOV), { headers })).status).toBe(202);
  });

  test('compressed, it is what it was before', async () => {
    const headers = { authorization: `Bearer ${token}`, 'content-encoding': 'gzip' };
    expect((await send(gzipSync(COBERTURA), { headers })).status).toBe(202);
    const [report] = await reports();
    expect(report!.size_bytes).toBe(COBERTURA.length);
    expect(String(gunzipSync(report!.content!))).toBe(COBERTURA);
  });

  test('of a commit that is there already: it is queued', async () => {
    const { db } = ingress.database;
    const sha = randomBytes(20).toString('hex');
    await db.insertInto('commits').values({ repository_id: repository, sha, state: 'completed' }).execute();
    const { status, body } = await send(LCOV, { query: `?sha=${sha}` });
    expect([status, body]).toMatchObject([202, { sha, state: 'queued', heldUntil: null }]);
  });

  test('several of one commit, also at once: the last is held, the others are replaced', async () => {
    await send(LCOV);
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(LCOV)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 202));
    const all = await reports();
    const held = all.filter(({ state }) => state === 'held');
    expect(held).toMatchObject([{ id: Math.max(...all.map(({ id }) => id)), problem: null }]);
    const replaced = all.filter(({ state }) => state === 'replaced');
    expect(replaced).toHaveLength(6);
    for (const { content, problem } of replaced) {
      expect([content, problem]).toEqual([null, 'a later report of the same commit came']);
    }
    const forOther = await send(LCOV, { query: `?sha=${SHA.replace('0', '1')}` });
    expect(forOther.status).toBe(202);
    expect((await reports()).filter(({ state }) => state === 'held')).toHaveLength(2);
  });

  test('the client takes the same by the same rules, without a token', async () => {
    const coverage = new Coverage({ db: ingress.database.db });
    const accepted = await coverage.submit({ repository: 'acme/shop', sha: SHA, report: LCOV });
    expect(accepted).toMatchObject({ sha: SHA, state: 'held' });
    expect(await coverage.list('acme/shop')).toMatchObject([
      { id: accepted.reportId, repository: 'acme/shop', sha: SHA, state: 'held', heldUntil: accepted.heldUntil },
    ]);
    await expect(coverage.submit({ repository: 'acme/shop', sha: SHA, report: 'DA:1,1' })).rejects.toMatchObject({
      kind: 'invalid',
      message: 'report: line 1: there is a line (DA) before its file (SF)',
    });
    expect(await reports()).toHaveLength(1);
  });
});

describe('U5: bad input: nothing is stored', () => {
  const bearer = (given: string) => ({ headers: { authorization: `Bearer ${given}` } });
  const unknown =
    'repository: there is no tracked one by this id or path; a path is one piece of the address, group%2Fproject';
  const wrongToken =
    'Authorization: it is not "Bearer" and the token of this repository, as "forgeflow repositories token" makes one';
  const noSha = 'sha: it is not the whole id of a commit, 40 hexadecimal digits';
  const tooLarge = `report: it is larger than ${COVERAGE_LIMIT} bytes (50 MiB)`;

  test.each<[string, number, string, Body | undefined, Sending]>([
    ['an unknown repository', 404, unknown, LCOV, { to: 4711 }],
    ['an unknown repository, by its path', 404, unknown, LCOV, { to: 'acme%2Fnothing' }],
    ['an unknown repository, and a wrong token', 404, unknown, LCOV, { to: 4711, ...bearer('wrong') }],
    ['an unknown repository, too large', 404, unknown, stream(COVERAGE_LIMIT + 1), { to: 4711 }],
    ['one that is not tracked', 404, unknown, LCOV, { to: 'acme%2Funtracked' }],
    ['an id that is too large', 404, unknown, LCOV, { to: '99999999999' }],
    ['an id with a NUL', 404, unknown, LCOV, { to: 'a%00b' }],
    ['no token', 401, wrongToken, LCOV, { headers: {} }],
    ['a wrong token', 401, wrongToken, LCOV, bearer('token-s3cret')],
    ["another repository's token", 401, wrongToken, LCOV, { to: 'acme%2Fother' }],
    ['a token that is no bearer token', 401, wrongToken, LCOV, { headers: { authorization: 'Basic token-s3cret' } }],
    ['a wrong token, too large', 401, wrongToken, stream(COVERAGE_LIMIT + 1), bearer('token-s3cret')],
    ['no commit', 400, 'sha: it is missing; it says which commit the report is of', LCOV, { query: '' }],
    ['a short commit', 400, noSha, LCOV, { query: '?sha=0150dd59' }],
    ['a commit of zeros', 400, noSha, LCOV, { query: `?sha=${'0'.repeat(40)}` }],
    ['two commits', 400, noSha, LCOV, { query: `?sha=${SHA}&sha=${SHA}` }],
    ['more than 50 MiB', 413, tooLarge, stream(COVERAGE_LIMIT + 1), {}],
    ['neither of the two', 422, 'report: line 1: this is neither LCOV nor Cobertura', 'payload-s3cret', {}],
    [
      'LCOV with a fault',
      422,
      'report: line 3: it does not say by a number how often the line ran',
      'SF:a.ts\nDA:1,1\nDA:2,payload-s3cret\nend_of_record\n',
      {},
    ],
    [
      'LCOV that is cut off',
      422,
      'report: line 5: the report is cut off: there is no end_of_record for this file',
      `${LCOV}SF:b.ts\nDA:1,1\n`,
      {},
    ],
    [
      'another XML',
      422,
      'report: line 2: this is neither LCOV nor Cobertura, whose first element is <coverage>',
      '<?xml version="1.0"?>\n<testsuite/>',
      {},
    ],
    ['XML with a fault', 422, 'report: line 3: this is not well-formed XML (', COBERTURA.replace('</classes>', ''), {}],
    ['nothing', 422, 'report: line 1: there is nothing in it, neither LCOV nor Cobertura', undefined, {}],
    ['empty', 422, 'report: line 1: there is nothing in it, neither LCOV nor Cobertura', '', {}],
    ['bytes', 422, 'report: line 1: this is neither LCOV nor Cobertura', Buffer.alloc(1e6, 'payload-s3cret'), {}],
    [
      'a fault in the first of many lines',
      422,
      'report: line 1: this is neither LCOV nor Cobertura',
      Buffer.alloc(20e6, 'payload-s3cret\n'),
      {},
    ],
  ])('%s', async (_, status, problem, body, sending) => {
    const answer = await send(body, sending);
    expect(answer.status).toBe(status);
    expect((answer.body as { error: string }).error).toContain(problem);
    expect(JSON.stringify(answer.body)).not.toContain('s3cret');
    expect(JSON.stringify(ingress.log)).not.toContain('s3cret');
    expect([await reports(), await requests()]).toEqual([[], []]);
  });

  const packed = (body: Buffer, encoding = 'gzip'): [Buffer, Sending] => [
    body,
    { headers: { authorization: `Bearer ${token}`, 'content-encoding': encoding } },
  ];

  test.each<[string, number, string, () => [Buffer, Sending]]>([
    ['compressed to a little, more than 50 MiB', 413, tooLarge, () => packed(gzipSync(bomb()))],
    ['not gzip', 400, 'body: it is not gzip, as Content-Encoding says', () => packed(Buffer.from(LCOV))],
    [
      'half of a gzip',
      400,
      'body: it is not gzip, as Content-Encoding says',
      () => packed(gzipSync(lcovFile(1)).subarray(0, 2_000)),
    ],
    ['compressed, with a fault', 422, 'report: line 1: ', () => packed(gzipSync('payload-s3cret'))],
    [
      'another encoding',
      415,
      'Content-Encoding: it is neither gzip nor identity',
      () => packed(Buffer.from(LCOV), 'br'),
    ],
  ])('%s', async (_, status, problem, make) => {
    const [body, sending] = make();
    const answer = await send(body, sending);
    expect(answer.status).toBe(status);
    expect((answer.body as { error: string }).error).toContain(problem);
    expect([await reports(), await requests()]).toEqual([[], []]);
  });

  function bomb(): Buffer {
    return Buffer.concat([Buffer.from('SF:a.ts\n'), Buffer.alloc(COVERAGE_LIMIT + 1, 'DA:1,1\n')]);
  }

  test('a length of more than 50 MiB is refused before anything is sent', async () => {
    const answered = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${ingress.url}/repositories/${repository}/coverage?sha=${SHA}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-length': COVERAGE_LIMIT + 1 },
      });
      request.on('response', (response) => {
        resolve(response.statusCode ?? 0);
        request.destroy();
      });
      request.on('error', reject);
      request.flushHeaders();
    });
    expect(answered).toBe(413);
  });

  test('a connection that breaks in the middle', async () => {
    await new Promise<void>((resolve) => {
      const request = httpRequest(`${ingress.url}/repositories/${repository}/coverage?sha=${SHA}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
      request.on('error', () => undefined);
      request.on('close', resolve);
      request.write(lcovFile(1), () => setTimeout(() => request.destroy(), 100));
    });
    await expect.poll(() => ingress.log.map(({ message }) => message)).toContain('request refused');
    expect(ingress.log.filter(({ level }) => level === 'ERROR')).toEqual([]);
    expect([await reports(), await requests()]).toEqual([[], []]);
  });

  test('a token that was taken away, and one that another took the place of', async () => {
    const { db } = ingress.database;
    const to = 'acme%2Fother';
    expect((await send(LCOV, { to, ...bearer(other) })).status).toBe(202);
    const { token: newer } = await createRepositoryToken(db, 'acme/other');
    expect((await send(LCOV, { to, ...bearer(other) })).status).toBe(401);
    expect((await send(LCOV, { to, ...bearer(newer) })).status).toBe(202);
    await revokeRepositoryToken(db, 'acme/other');
    expect((await send(LCOV, { to, ...bearer(newer) })).status).toBe(401);
    expect(await reports()).toHaveLength(2);
  });
});

test('U5: 50 MiB are taken in by a process that has not the memory for them, while others are answered', async () => {
  const child = await startIngressProcess(ingress.database.url);
  const to = `${child.url}/repositories/${repository}/coverage?sha=${SHA}`;
  const authorization = `Bearer ${token}`;
  const post = async (body: ReadableStream<Uint8Array>) =>
    fetch(to, { method: 'POST', headers: { authorization }, body, duplex: 'half' });
  const ended = new AbortController();
  let longest = 0;
  try {
    expect((await post(stream(COVERAGE_LIMIT / 5, { whole: true }))).status).toBe(202);
    const before = await child.peakMemory();
    const others = (async () => {
      while (!ended.signal.aborted) {
        const asked = performance.now();
        await fetch(`${child.url}/healthz`).then((response) => response.text());
        longest = Math.max(longest, performance.now() - asked);
        await sleep(50);
      }
    })();
    const { status } = await post(stream(COVERAGE_LIMIT, { whole: true }));
    ended.abort();
    await others;
    expect(status).toBe(202);
    const [, report] = await reports();
    expect(report!.size_bytes).toBeGreaterThan(COVERAGE_LIMIT - 100_000);
    const grown = (await child.peakMemory()) - before;
    // What it is compressed to, on its way to Postgres, and what the heap is allowed; the report itself would come on top.
    expect(grown).toBeLessThan(COVERAGE_LIMIT);
    expect(longest).toBeLessThan(1_000);
  } finally {
    ended.abort();
    await child.stop();
  }
}, 120_000);

/** An ingress in a process of its own, whose heap is small. */
async function startIngressProcess(databaseUrl: string) {
  const child = fork(fileURLToPath(new URL('../support/ingress-program.ts', import.meta.url)), [], {
    env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl, INGRESS_TOKEN: TOKEN },
    execArgv: ['--max-old-space-size=48', '--max-semi-space-size=2', '--import', import.meta.resolve('tsx')],
  });
  const [url] = (await once(child, 'message')) as [string];
  return {
    url,
    async peakMemory(): Promise<number> {
      child.send('memory');
      const [bytes] = (await once(child, 'message')) as [number];
      return bytes;
    },
    async stop(): Promise<void> {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
