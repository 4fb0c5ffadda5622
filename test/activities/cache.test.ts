import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCacheEviction } from '../../activities/cache.ts';
import type { ArtefactCache } from '../../src/cache/artefact-cache.ts';
import { FolderCache } from '../../src/cache/folder-cache.ts';
import { S3Cache } from '../../src/cache/s3-cache.ts';
import { byUse, putText, textOf } from '../cache/cache-contract.ts';
import { type S3StandIn, startS3StandIn } from '../cache/s3-stand-in.ts';

let folder: string;
let store: S3StandIn;
const caches: Partial<Record<string, ArtefactCache>> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forgeflow-eviction-'));
  store = await startS3StandIn();
  caches['a folder'] = new FolderCache(folder);
  caches['an S3 store'] = new S3Cache(store.settings);
});
afterAll(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

let repositories = 0;

function evict(cache: ArtefactCache | null, repositoryId: number, cacheQuotaBytes: number, signal?: AbortSignal) {
  const context = { signal: signal ?? new AbortController().signal, now: Date.now() };
  return createCacheEviction({ cache, cacheQuotaBytes }).requestCacheEviction({ repositoryId }, context);
}

/** A cache in which something is done before each deletion. */
function disturbed(cache: ArtefactCache, before: () => Promise<void>): ArtefactCache {
  return new Proxy(cache, {
    get(target, name) {
      const method = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        if (name === 'delete') await before();
        return Reflect.apply(method, target, args);
      };
    },
  });
}

describe.each([
  ['a folder', 25],
  ['an S3 store', 6],
])('U6: eviction from %s', (name, numRuns) => {
  const theCache = () => caches[name]!;

  test('takes exactly the least recently used, oldest first, until the rest fits; twice takes no more', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.oneof(
      fc.record({ put: key, sizeBytes: fc.nat({ max: 9 }) }),
      fc.record({ get: key }),
      fc.constant('evict'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat({ max: 20 }), async (steps, quota) => {
        const [cache, id] = [theCache(), ++repositories];
        const model = new Map<string, number>(); // in the order of their last use
        const use = (one: string, size: number) => {
          model.delete(one);
          model.set(one, size);
        };
        for (const one of [...steps, 'evict', 'evict']) {
          if (typeof one === 'string') {
            const before = [...model.values()].reduce((sum, size) => sum + size, 0);
            const count = model.size;
            let bytes = before;
            for (const [oldest, size] of [...model]) {
              if (quota === 0 || bytes <= quota) break;
              model.delete(oldest);
              bytes -= size;
            }
            expect(await evict(cache, id, quota)).toMatchObject({
              evicted: count - model.size,
              freedBytes: before - bytes,
              bytes,
            });
          } else if ('put' in one) {
            await putText(cache, id, one.put, 'x'.repeat(one.sizeBytes));
            use(one.put, one.sizeBytes);
          } else {
            const size = model.get(one.get);
            expect((await textOf(cache, id, one.get))?.length).toBe(size);
            if (size !== undefined) use(one.get, size);
          }
          expect(byUse(await cache.list(id))).toEqual([...model.keys()]);
        }
      }),
      { numRuns },
    );
  });

  test('passes over what is used while it is at it, and takes the next one instead', async () => {
    const [cache, id] = [theCache(), ++repositories];
    for (const key of ['oldest', 'older', 'newer', 'newest']) await putText(cache, id, key, 'xx');
    let isUsed = false;
    const used = disturbed(cache, async () => {
      if (isUsed) return;
      isUsed = true;
      await textOf(cache, id, 'oldest');
    });
    expect(await evict(used, id, 5)).toMatchObject({ evicted: 2, freedBytes: 4, bytes: 4 });
    expect(byUse(await cache.list(id))).toEqual(['newest', 'oldest']);
  });

  test('while others put and evict at the same time, it ends within the quota with what was put last', async () => {
    const [cache, id] = [theCache(), ++repositories];
    const put = async (from: number) => {
      for (let n = from; n < from + 5; n++) {
        await putText(cache, id, `k${n}`, 'x'.repeat(10));
        await evict(cache, id, 30);
      }
    };
    await Promise.all([put(0), put(10), put(20)]);
    await putText(cache, id, 'last', 'x'.repeat(10));
    await Promise.all([evict(cache, id, 30), evict(cache, id, 30)]);
    const left = byUse(await cache.list(id));
    expect(left.length).toBeLessThanOrEqual(3);
    expect(left.at(-1)).toBe('last');
  });

  test('that is broken off has taken only the oldest, and goes on from there', async () => {
    const [cache, id] = [theCache(), ++repositories];
    for (let n = 0; n < 6; n++) await putText(cache, id, `k${n}`, 'x');
    const stop = new AbortController();
    let deletes = 0;
    const broken = disturbed(cache, async () => {
      await Promise.resolve();
      if (++deletes === 3) stop.abort(new Error('the worker was killed'));
    });
    await expect(evict(broken, id, 1, stop.signal)).rejects.toThrow('the worker was killed');
    const left = byUse(await cache.list(id));
    expect(left).toEqual(['k0', 'k1', 'k2', 'k3', 'k4', 'k5'].slice(6 - left.length));
    await evict(cache, id, 1);
    expect(byUse(await cache.list(id))).toEqual(['k5']);
  });
});

test('U6: without a quota nothing is evicted, nor is where the cache is off', async () => {
  const [cache, id] = [caches['a folder']!, ++repositories];
  await putText(cache, id, 'a', 'x'.repeat(1_000));
  expect(await evict(cache, id, 0)).toEqual({
    summary: '0 artefacts were evicted, 1000 bytes are kept',
    evicted: 0,
    freedBytes: 0,
    bytes: 1_000,
  });
  expect(await evict(null, id, 10)).toMatchObject({ summary: 'the cache is off', evicted: 0 });
  expect(await evict(cache, 999_999, 10)).toMatchObject({ evicted: 0, bytes: 0 });
  expect(await evict(cache, id, 999)).toMatchObject({ evicted: 1, freedBytes: 1_000, bytes: 0 });
});

test('U6: a store that is away is told of without credentials, so that the job is tried again', async () => {
  const away = new S3Cache({ ...store.settings, endpoint: 'http://127.0.0.1:1' });
  await expect(evict(away, 1, 10)).rejects.toThrow('the S3 store could not be reached: ECONNREFUSED');
});
