import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Artefact, type ArtefactCache, CacheError } from '../../src/cache/artefact-cache.ts';
import { planEviction } from '../../src/domain/eviction.ts';

export const putText = async (cache: ArtefactCache, repository: number, key: string, text: string): Promise<void> =>
  cache.put(repository, { key, sizeBytes: Buffer.byteLength(text), content: Buffer.from(text) });

export async function textOf(cache: ArtefactCache, repository: number, key: string): Promise<string | null> {
  const found = await cache.get(repository, key);
  if (found === null) return null;
  const text = (await buffer(found.content)).toString();
  expect(found.sizeBytes).toBe(Buffer.byteLength(text));
  return text;
}

export const byUse = (artefacts: readonly Artefact[]): string[] =>
  [...artefacts].sort((one, other) => one.lastUsedAt - other.lastUsedAt).map(({ key }) => key);

let repositories = 0;

/** What holds of every cache. Each test has a repository of its own. */
export function cacheContract(name: string, theCache: () => ArtefactCache, runs: number): void {
  describe(`U6: ${name}`, () => {
    test('gives what was put, until it is taken away', async () => {
      const [cache, id] = [theCache(), ++repositories];
      expect(await textOf(cache, id, 'a')).toBeNull();
      await putText(cache, id, 'a', 'first');
      expect(await textOf(cache, id, 'a')).toBe('first');
      await putText(cache, id, 'a', 'the second one');
      await putText(cache, id, 'empty', '');
      expect(await textOf(cache, id, 'a')).toBe('the second one');
      expect(await textOf(cache, id, 'empty')).toBe('');
      expect(await textOf(cache, id + 1_000, 'a')).toBeNull();
      expect(await cache.delete(id, 'a')).toBe(true);
      expect(await cache.delete(id, 'a')).toBe(true);
      expect(await textOf(cache, id, 'a')).toBeNull();
      expect((await cache.list(id)).map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([['empty', 0]]);
    });

    test('keeps bytes, many of them, as they come', async () => {
      const [cache, id] = [theCache(), ++repositories];
      const piece = Buffer.from(Array.from({ length: 65_536 }, (_, i) => (i * 31) % 256));
      async function* content() {
        await Promise.resolve();
        for (let i = 0; i < 40; i++) yield piece;
      }
      await cache.put(id, { key: 'large', sizeBytes: piece.length * 40, content: content() });
      const hash = createHash('sha256');
      for await (const chunk of (await cache.get(id, 'large'))!.content) hash.update(chunk as Buffer);
      expect(hash.digest('hex')).toBe(
        createHash('sha256')
          .update(Buffer.concat(Array<Buffer>(40).fill(piece)))
          .digest('hex'),
      );
      expect(await cache.list(id)).toMatchObject([{ key: 'large', sizeBytes: piece.length * 40 }]);
      expect(await cache.find(id, 'large')).toEqual({ sizeBytes: piece.length * 40 });
    });

    test('takes any text for a key, and none leads elsewhere', async () => {
      const [cache, id] = [theCache(), ++repositories];
      const keys = [
        '../../etc/passwd',
        '..',
        '.',
        '/',
        'A',
        'a',
        'a/b',
        'a~2fb',
        '~',
        '.partial-x',
        'ü ~%2F\n\0',
        'a&<b>',
        'x'.repeat(240),
      ];
      for (const key of keys) await putText(cache, id, key, `of ${key}`);
      for (const key of keys) expect(await textOf(cache, id, key)).toBe(`of ${key}`);
      expect((await cache.list(id)).map(({ key }) => key).sort()).toEqual([...keys].sort());
      for (const key of ['', 'x'.repeat(241), 'ü'.repeat(41), '\ud800']) {
        await expect(putText(cache, id, key, 'x')).rejects.toThrow(CacheError);
        await expect(cache.get(id, key)).rejects.toThrow(/^the key of an artefact is /);
        await expect(cache.delete(id, key)).rejects.toThrow(CacheError);
      }
      await expect(cache.list(1.5)).rejects.toThrow(CacheError);
    });

    test('knows the order of uses, however fast they come', async () => {
      const [cache, id] = [theCache(), ++repositories];
      const startedAt = Date.now();
      for (const key of ['a', 'b', 'c']) await putText(cache, id, key, 'x');
      expect(byUse(await cache.list(id))).toEqual(['a', 'b', 'c']);
      await textOf(cache, id, 'a');
      await cache.find(id, 'c'); // is no use of it
      expect(await cache.find(id, 'none')).toBeNull();
      await putText(cache, id, 'b', 'again');
      const listed = await cache.list(id);
      expect(byUse(listed)).toEqual(['c', 'a', 'b']);
      for (const { lastUsedAt } of listed) {
        expect(lastUsedAt).toBeGreaterThanOrEqual(startedAt);
        expect(lastUsedAt).toBeLessThan(Date.now() + 1);
      }
    });

    test('evicts exactly what was least recently used, whatever was done', async () => {
      const key = fc.constantFrom('a', 'b', 'c', 'd');
      const step = fc.oneof(
        fc.record({ put: key, sizeBytes: fc.nat({ max: 9 }) }),
        fc.record({ get: key }),
        fc.record({ drop: key }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 10 }), fc.nat({ max: 20 }), async (steps, quota) => {
          const [cache, id] = [theCache(), ++repositories];
          const model = new Map<string, number>(); // in the order of their last use
          for (const one of steps) {
            if ('put' in one) {
              await putText(cache, id, one.put, 'x'.repeat(one.sizeBytes));
              model.delete(one.put);
              model.set(one.put, one.sizeBytes);
            } else if ('get' in one) {
              const size = model.get(one.get);
              expect((await textOf(cache, id, one.get))?.length).toBe(size);
              if (size !== undefined) {
                model.delete(one.get);
                model.set(one.get, size);
              }
            } else {
              await cache.delete(id, one.drop);
              model.delete(one.drop);
            }
          }
          for (const { key, lastUsedAt } of planEviction(await cache.list(id), quota)) {
            expect(await cache.delete(id, key, lastUsedAt)).toBe(true);
          }
          const total = (): number => [...model.values()].reduce((sum, size) => sum + size, 0);
          while (quota > 0 && total() > quota) model.delete([...model.keys()][0]!);
          expect(byUse(await cache.list(id))).toEqual([...model.keys()]);
        }),
        { numRuns: runs },
      );
    });

    test('keeps what was used since somebody listed it', async () => {
      const [cache, id] = [theCache(), ++repositories];
      await putText(cache, id, 'a', 'x');
      const [listed] = await cache.list(id);
      await textOf(cache, id, 'a');
      expect(await cache.delete(id, 'a', listed!.lastUsedAt)).toBe(false);
      const [again] = await cache.list(id);
      expect(await cache.delete(id, 'a', again!.lastUsedAt)).toBe(true);
      expect(await cache.list(id)).toEqual([]);
    });

    test('never has a part of an artefact, nor two of them mixed', async () => {
      const [cache, id] = [theCache(), ++repositories];
      await putText(cache, id, 'a', 'whole');
      async function* broken() {
        await Promise.resolve();
        yield Buffer.from('par');
        throw new Error('the check has ended');
      }
      await expect(cache.put(id, { key: 'a', sizeBytes: 6, content: broken() })).rejects.toThrow('the check has ended');
      for (const sizeBytes of [4, 6]) {
        await expect(cache.put(id, { key: 'a', sizeBytes, content: Buffer.from('other') })).rejects.toThrow(CacheError);
      }
      expect(await textOf(cache, id, 'a')).toBe('whole');
      const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(20_000 + i));
      await Promise.all(texts.map((text) => putText(cache, id, 'a', text)));
      expect(texts).toContain(await textOf(cache, id, 'a'));
      expect(await cache.list(id)).toHaveLength(1);
    });

    test('is read to the end though it is taken away or replaced meanwhile, and left unread', async () => {
      const [cache, id] = [theCache(), ++repositories];
      await putText(cache, id, 'a', 'first');
      const found = await cache.get(id, 'a');
      await putText(cache, id, 'a', 'second');
      await cache.delete(id, 'a');
      expect((await buffer(found!.content)).toString()).toBe('first');
      await putText(cache, id, 'b', 'x'.repeat(500_000));
      (await cache.get(id, 'b'))!.content.on('error', () => undefined).destroy();
      expect(await textOf(cache, id, 'b')).toHaveLength(500_000);
    });

    test('is broken off', async () => {
      const [cache, id] = [theCache(), ++repositories];
      const signal = AbortSignal.abort(new Error('enough'));
      const artefact = { key: 'a', sizeBytes: 1, content: Buffer.from('x') };
      await expect(cache.put(id, artefact, signal)).rejects.toThrow('enough');
      await expect(cache.get(id, 'a', signal)).rejects.toThrow('enough');
      expect(await cache.list(id)).toEqual([]);
    });

    test('is purged of a repository, and twice, and of no other', async () => {
      const [cache, id, other] = [theCache(), ++repositories, ++repositories * 10];
      for (const key of ['a', 'b']) {
        await putText(cache, id, key, 'x');
        await putText(cache, other, key, 'x');
      }
      await cache.purge(id);
      await cache.purge(id);
      expect(await cache.list(id)).toEqual([]);
      expect(await cache.list(other)).toHaveLength(2);
    });
  });
}
