import { connect } from 'node:net';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PUSH } from '../support/gitlab-payloads.ts';
import {
  type Answer,
  countEvents,
  post,
  postAsGitlab,
  postEvent,
  startTestIngress,
  TOKEN,
  type TestIngress,
} from './ingress.ts';

let ingress: TestIngress;

beforeAll(async () => {
  ingress = await startTestIngress();
});
afterAll(() => ingress.stop());
beforeEach(() => {
  ingress.log.length = 0;
});
const port = (): number => Number(new URL(ingress.url).port);

/** What the server says to these bytes, at once or up to the end of the connection. */
async function sendRaw(head: string, isAnswered: (answer: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port(), '127.0.0.1', () => socket.write(head));
    let answer = '';
    const end = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (isAnswered(answer)) end();
    });
    socket.on('end', end);
    socket.on('error', reject);
    setTimeout(end, 5_000).unref();
  });
}

const SECRETS = ['payload-s3cret', 'token-s3cret', 'header-s3cret', 'path-s3cret'];
const large = Buffer.alloc(3 * 1024 * 1024, 'payload-s3cret ');

describe('E13: malformed JSON, wrong token, oversized body: refused, nothing stored, no secret in the log', () => {
  const right = { 'X-Gitlab-Token': TOKEN };
  const wrong = { 'X-Gitlab-Token': 'token-s3cret' };
  const toGitlab = (body: string | Buffer, headers: Record<string, string>) =>
    post(`${ingress.url}/gitlab/events`, body, headers);

  test.each<[string, number, string, () => Promise<Answer>]>([
    ['malformed JSON', 400, 'body: it is not JSON', () => toGitlab('{"a":"payload-s3cret"', right)],
    ['no body', 400, 'body: it is empty; a JSON object is expected', () => toGitlab('', right)],
    ['not an object', 400, 'body: it is not a JSON object', () => toGitlab('["payload-s3cret"]', right)],
    [
      'not UTF-8',
      400,
      'body: it is not UTF-8',
      () => toGitlab(Buffer.from('{"object_kind":"push","t":"ü"}', 'latin1'), right),
    ],
    ['a byte order mark', 400, 'body: it is not JSON', () => toGitlab(`\ufeff${PUSH.body}`, right)],
    [
      'nested too deep for Postgres',
      400,
      'data: it is nested deeper than Postgres reads',
      () => toGitlab(`{"object_kind":"push","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, right),
    ],
    [
      'no kind',
      400,
      'object_kind: it is missing, and event_name is too, so this is no event of GitLab',
      () => toGitlab('{"kind":"payload-s3cret"}', right),
    ],
    [
      'a kind that is no word',
      400,
      'object_kind: it is not a lower-case word, such as merge_request',
      () => toGitlab('{"object_kind":"payload-s3cret"}', right),
    ],
    [
      'an event_name that is no word',
      400,
      'event_name: it is not a lower-case word, such as merge_request',
      () => toGitlab('{"event_name":"a.b payload-s3cret"}', right),
    ],
    [
      'a kind of another type',
      400,
      'object_kind: it is not a string',
      () => toGitlab('{"object_kind":{"payload-s3cret":1}}', right),
    ],
    [
      'a kind without end',
      400,
      'object_kind: it has more than 100 characters',
      () => toGitlab(`{"object_kind":"${'k'.repeat(101)}"}`, right),
    ],
    ['oversized', 413, 'body: it is larger than the 1048576 bytes that are taken here', () => toGitlab(large, right)],
    [
      'oversized, to /events',
      413,
      'body: it is larger than the 1064960 bytes that are taken here',
      () => postEvent(ingress, large),
    ],
    [
      'another content type',
      415,
      'Content-Type: it is not application/json',
      () => toGitlab('a=payload-s3cret', { ...right, 'content-type': 'application/x-www-form-urlencoded' }),
    ],
    [
      'wrong token',
      401,
      'X-Gitlab-Token: it is not the token of a hook that is known here',
      () => toGitlab(PUSH.body, wrong),
    ],
    [
      'no token',
      401,
      'X-Gitlab-Token: it is not the token of a hook that is known here',
      () => toGitlab(PUSH.body, {}),
    ],
    [
      'wrong token and oversized',
      401,
      'X-Gitlab-Token: it is not the token of a hook that is known here',
      () => toGitlab(large, wrong),
    ],
    [
      'wrong token, malformed, of another type',
      401,
      'X-Gitlab-Token: it is not the token of a hook that is known here',
      () => toGitlab('payload-s3cret', { ...wrong, 'content-type': 'text/html' }),
    ],
    [
      'wrong bearer token',
      401,
      'Authorization: it is not "Bearer" and the INGRESS_TOKEN of this ingress',
      () => post(`${ingress.url}/events`, large, { authorization: 'Bearer token-s3cret' }),
    ],
    [
      "GitLab's token as a query",
      401,
      'X-Gitlab-Token: it is not the token of a hook that is known here',
      () => post(`${ingress.url}/gitlab/events?token=path-s3cret`, PUSH.body),
    ],
    [
      'a header too long',
      400,
      'Idempotency-Key: it has 260 characters; 255 at most',
      () => toGitlab(PUSH.body, { ...right, 'Idempotency-Key': 'header-s3cret'.repeat(20) }),
    ],
    [
      'an unknown field',
      400,
      '"payload-s3cret": there is no such field; there are topic, data, id',
      () => postEvent(ingress, '{"topic":"a.b","data":1,"payload-s3cret":1}'),
    ],
    [
      'a bad topic',
      400,
      'topic: token 2 of "payload-s3cret..x" is empty',
      () => postEvent(ingress, '{"topic":"payload-s3cret..x","data":1}'),
    ],
    [
      'an unknown address',
      404,
      'there is nothing at this address',
      () => post(`${ingress.url}/path-s3cret`, large, right),
    ],
  ])('%s: %d', async (_, status, error, send) => {
    const answer = await send();
    expect(answer).toMatchObject({ status, body: { error } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(Object.keys(answer.body as object)).toEqual(['error']);
    expect(await countEvents(ingress.database.db)).toBe(0);

    await expect.poll(() => ingress.log).toHaveLength(1);
    expect(ingress.log[0]).toMatchObject({ level: 'WARN', message: 'request refused', meta: { status } });
    const said = JSON.stringify(ingress.log);
    for (const secret of [...SECRETS, TOKEN]) expect(said).not.toContain(secret);
    expect(JSON.stringify(answer.body)).not.toMatch(/token-s3cret|header-s3cret|path-s3cret|the-token-of/);
  });

  test('the log of what is stored has neither its payload nor its headers', async () => {
    const body = '{"object_kind":"push","t":"payload-s3cret"}';
    const answer = await postAsGitlab(ingress, body, { 'Idempotency-Key': 'header-s3cret' });
    await postEvent(ingress, '{"topic":"a.b","data":"payload-s3cret"}');
    await expect.poll(() => ingress.log).toHaveLength(2);
    expect(ingress.log[0]).toMatchObject({
      level: 'DEBUG',
      message: 'event stored',
      meta: { route: '/gitlab/events', status: 202, ...(answer.body as object) },
    });
    expect(JSON.stringify(ingress.log)).not.toMatch(/s3cret|the-token-of/);
    await ingress.database.db.deleteFrom('events').execute();
  });

  test('a fault of ours says nothing of the request, neither to the sender nor in the log', async () => {
    // A constraint's error quotes the whole row.
    const events = () => ingress.database.db.schema.alterTable('events');
    await events()
      .addCheckConstraint('never', sql`payload is null`)
      .execute();
    const answer = await postAsGitlab(ingress, '{"object_kind":"push","t":"payload-s3cret"}');
    await events().dropConstraint('never').execute();
    expect(answer).toMatchObject({
      status: 500,
      body: { error: 'something went wrong on this side; its log says what' },
    });
    await expect.poll(() => ingress.log.map(({ level }) => level)).toEqual(['ERROR', 'WARN']);
    expect(ingress.log[0]?.meta).toMatchObject({ code: '23514', at: expect.any(Array) as unknown });
    expect(JSON.stringify(ingress.log)).not.toMatch(/s3cret|the-token-of/);
  });
});

describe('E13: the answer comes before the body', () => {
  test.each([
    [
      'a wrong token',
      '401',
      `POST /gitlab/events HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: no\r\nContent-Type: application/json\r\n`,
    ],
    [
      'a wrong bearer token',
      '401',
      `POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\nContent-Type: application/json\r\n`,
    ],
    ['an unknown address', '404', `POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`],
    [
      'a body that is too large',
      '413',
      `POST /gitlab/events HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: ${TOKEN}\r\nContent-Type: application/json\r\n`,
    ],
  ])('for %s', async (_, status, head) => {
    const answer = await sendRaw(`${head}Content-Length: 10000000000\r\n\r\n{`, (text) => text.includes('"}'));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });
});

describe('E13: what is no request of ours', () => {
  test.each([
    ['GET', '/gitlab/events', 405, 'POST'],
    ['PUT', '/events', 405, 'POST'],
    ['DELETE', '/healthz', 405, 'GET'],
    ['GET', '/', 404, null],
    ['GET', '/gitlab/events/', 404, null],
  ])('%s %s: %d', async (method, path, status, allow) => {
    const response = await fetch(`${ingress.url}${path}`, { method });
    expect([response.status, response.headers.get('allow')]).toEqual([status, allow]);
    expect(Object.keys((await response.json()) as object)).toEqual(['error']);
  });

  test.each([
    ['an address that is no text', '400', 'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['no HTTP at all', '400', 'hello token-s3cret\r\n\r\n'],
    ['headers without end', '431', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'token-s3cret'.repeat(3000)}\r\n\r\n`],
  ])('%s', async (_, status, bytes) => {
    const answer = await sendRaw(bytes, (text) => text.includes('"}'));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\\{"error":"[a-zA-Z ]+"\\}`));
    expect(JSON.stringify(ingress.log)).not.toContain('s3cret');
    expect(ingress.log).toMatchObject([{ level: 'WARN', meta: { status: Number(status) } }]);
  });
});
