import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GitlabBadAnswer, GitlabUnavailable } from '../../src/gitlab/errors.ts';
import { ANSWER_LIMIT } from '../../src/gitlab/exchange.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { hookBody, shownHook } from './hook-body.ts';
import { clientOf, type Script, type ScriptedGitlab, startScriptedGitlab, TIMEOUT_MS } from './scripted-gitlab.ts';

const owner: GitlabOwner = { kind: 'project', gitlabId: 5 };
const json = { 'content-type': 'application/json' };
let gitlab: ScriptedGitlab;

beforeEach(async () => {
  gitlab = await startScriptedGitlab();
});
afterEach(async () => {
  await gitlab.close();
});

describe('an answer that is not as documented is a bad answer, after one request', () => {
  test.each<[string, Script, string]>([
    [
      'a login page with 200',
      { headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<!DOCTYPE html><title>Sign in</title>' },
      'a web page',
    ],
    ['plain text', { headers: { 'content-type': 'text/plain' }, body: 'OK' }, 'something else'],
    ['JSON that says it is text', { headers: { 'content-type': 'text/plain' }, body: '[]' }, 'something else'],
    ['no JSON', { body: 'OK' }, 'malformed'],
    ['JSON that ends in the middle', { body: JSON.stringify([shownHook]).slice(0, 200) }, 'cut off'],
    ['nothing', { body: '' }, 'not a list of hooks'],
    ['an object', { body: { id: 1 } }, 'not a list of hooks: the whole of it'],
    ['a list of something else', { body: [{ name: 'x' }] }, 'not a list of hooks: 0.id'],
    ['an id that is a text', { body: [{ ...shownHook, id: '7' }] }, '0.id'],
    ['an id that is no id', { body: [shownHook, { ...shownHook, id: 0 }] }, '1.id'],
    ['no url', { body: [{ ...shownHook, url: null }] }, '0.url'],
    ['a flag that is a text', { body: [{ ...shownHook, push_events: 'yes' }] }, '0.push_events'],
  ])('%s', async (_name, answer, words) => {
    gitlab.script(answer);
    const failing = clientOf(gitlab).listHooks(owner);
    await expect(failing).rejects.toBeInstanceOf(GitlabBadAnswer);
    await expect(failing).rejects.toThrow(words);
    expect(gitlab.requests).toHaveLength(1);
  });

  test('what stands at the wrong place is not repeated', async () => {
    gitlab.script({ body: [{ ...shownHook, id: 'S3CRET' }] });
    await expect(clientOf(gitlab).listHooks(owner)).rejects.toThrow(/^(?!.*S3CRET)/);
  });

  test('a body shorter than it said', async () => {
    gitlab.script((response) => {
      response.writeHead(200, { ...json, 'content-length': '1000' }).write('[{"id":');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(clientOf(gitlab).listHooks(owner)).rejects.toThrow(GitlabBadAnswer);
  });

  test('chunks without the last one', async () => {
    gitlab.script((response) => {
      response.writeHead(200, json).write('[]');
      setTimeout(() => response.destroy(), 20);
    });
    await expect(clientOf(gitlab).listHooks(owner)).rejects.toThrow('broke off after 2 bytes');
  });

  test('a body without end is not kept in memory', async () => {
    let sent = 0;
    gitlab.script((response) => {
      response.writeHead(200, json);
      const chunk = Buffer.alloc(256 * 1024, ' ');
      const more = (): void => {
        if (response.destroyed) return;
        sent += chunk.length;
        response.write(chunk, more);
      };
      more();
    });
    await expect(clientOf(gitlab, { timeoutMs: 10_000 }).listHooks(owner)).rejects.toThrow(/larger than \d+ bytes/);
    expect(sent).toBeLessThan(3 * ANSWER_LIMIT);
  });

  test('bytes that are no HTTP', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(clientOf({ url }).listHooks(owner)).rejects.toBeInstanceOf(GitlabUnavailable);
    server.close();
  });
});

describe('no answer', () => {
  test.each<[string, Script]>([
    ['not even a status', () => undefined],
    [
      'a status, and then nothing',
      (response) => {
        response.writeHead(200, json).flushHeaders();
      },
    ],
    ['half a body', (response) => response.writeHead(200, json).write('[')],
  ])('%s: the time is up once, after one request', async (_name, answer) => {
    gitlab.script(answer);
    const startedAt = performance.now();
    const failing = clientOf(gitlab).createHook(owner, hookBody());
    await expect(failing).rejects.toThrow(`GitLab did not answer within ${TIMEOUT_MS} ms`);
    await expect(failing).rejects.toBeInstanceOf(GitlabUnavailable);
    expect(performance.now() - startedAt).toBeLessThan(4 * TIMEOUT_MS);
    expect(gitlab.requests).toHaveLength(1);
  });

  test('a connection that is hung up on', async () => {
    gitlab.script((response) => response.destroy());
    const failing = clientOf(gitlab).createHook(owner, hookBody());
    await expect(failing).rejects.toBeInstanceOf(GitlabUnavailable);
    await expect(failing).rejects.toThrow('connection closed before the answer was complete');
    expect(gitlab.requests).toHaveLength(1);
  });

  test('a connection that is refused', async () => {
    const gone = await startScriptedGitlab();
    await gone.close();
    await expect(clientOf(gone).listHooks(owner)).rejects.toThrow('GitLab could not be reached: connection refused');
  });

  test('a name that does not resolve', async () => {
    const failing = clientOf({ url: 'http://gitlab.invalid' }, { timeoutMs: 10_000 }).listHooks(owner);
    await expect(failing).rejects.toBeInstanceOf(GitlabUnavailable);
    await expect(failing).rejects.toThrow(/host name/);
  });
});

describe('a caller that gives up', () => {
  test('gets its own reason, at once, and the request is broken off', async () => {
    let closed = false;
    gitlab.script((response) => response.on('close', () => (closed = true)));
    const stop = new AbortController();
    const asking = clientOf(gitlab, { timeoutMs: 30_000 }).listHooks(owner, stop.signal);
    await expect.poll(() => gitlab.requests.length).toBe(1);
    stop.abort(new Error('the worker stops'));
    await expect(asking).rejects.toThrow('the worker stops');
    await expect.poll(() => closed).toBe(true);
  });

  test('before the request makes none', async () => {
    const reason = new Error('stopped');
    await expect(clientOf(gitlab).listHooks(owner, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(gitlab.requests).toHaveLength(0);
  });

  test('between two pages asks for no more', async () => {
    const stop = new AbortController();
    gitlab.script((response) => {
      response.writeHead(200, { ...json, 'x-next-page': '2' }).end('[]', () => {
        stop.abort();
      });
    });
    await expect(clientOf(gitlab).listHooks(owner, stop.signal)).rejects.toThrow(/abort/i);
    expect(gitlab.requests.length).toBeLessThanOrEqual(2);
  });
});
