import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareListings } from '../../src/domain/repository-listing.ts';

const repository = (gitlabId: number, path: string, isArchived = false) => ({ gitlabId, path, isArchived });

describe('the list of the repositories of a group', () => {
  test('U8: added, changed and gone ones are told apart', () => {
    const before = [repository(4, 'a/four'), repository(1, 'a/one'), repository(2, 'a/two'), repository(3, 'a/three')];
    const now = [
      repository(5, 'a/five'),
      repository(1, 'a/one'),
      repository(2, 'a/b/two'),
      repository(3, 'a/three', true),
    ];
    expect(compareListings(before, now, true)).toEqual({
      added: [repository(5, 'a/five')],
      changed: [repository(2, 'a/b/two'), repository(3, 'a/three', true)],
      gone: [repository(4, 'a/four')],
    });
  });

  test('U8: a path that another repository takes over is one gone and one added; two that swap theirs are changed', () => {
    expect(compareListings([repository(1, 'a/x')], [repository(2, 'a/x')], true)).toEqual({
      added: [repository(2, 'a/x')],
      changed: [],
      gone: [repository(1, 'a/x')],
    });
    const swapped = [repository(1, 'a/y'), repository(2, 'a/x')];
    expect(compareListings([repository(1, 'a/x'), repository(2, 'a/y')], swapped, true)?.changed).toEqual(swapped);
  });

  test('U8: of one that is listed twice the later counts', () => {
    const now = [repository(1, 'a/old'), repository(1, 'a/new')];
    expect(compareListings([], now, true)?.added).toEqual([repository(1, 'a/new')]);
  });

  test('U8: a list that was not read to its end says nothing', () => {
    expect(compareListings([repository(1, 'a/x')], [], false)).toBeNull();
  });

  test('U8: added, changed and gone ones make the new list of the old one, and the same list makes none', () => {
    const list = fc.uniqueArray(
      fc.record({ gitlabId: fc.nat(9), path: fc.constantFrom('a', 'b'), isArchived: fc.boolean() }),
      {
        selector: ({ gitlabId }) => gitlabId,
      },
    );
    fc.assert(
      fc.property(list, list, (before, now) => {
        const { added = [], changed = [], gone = [] } = compareListings(before, now, true) ?? {};
        const after = new Map(before.map((one) => [one.gitlabId, one]));
        for (const { gitlabId } of gone) expect(after.delete(gitlabId)).toBe(true);
        for (const one of [...added, ...changed]) after.set(one.gitlabId, one);
        expect(after).toEqual(new Map(now.map((one) => [one.gitlabId, one])));
        expect(added.length + changed.length + gone.length).toBeLessThanOrEqual(before.length + now.length);
        expect(compareListings(now, after.values(), true)).toEqual({ added: [], changed: [], gone: [] });
      }),
    );
  });
});
