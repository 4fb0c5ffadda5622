import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { permissionChanges, type Role, roleOf, ROLES } from '../../src/domain/permissions.ts';

const NOTHING = { insert: [], change: [], delete: [] };

describe('permissions', () => {
  test.each<[number, Role | null]>([
    [0, null],
    [5, null],
    [10, null],
    [15, null],
    [20, 'reader'],
    [25, 'reader'],
    [30, 'developer'],
    [40, 'maintainer'],
    [50, 'owner'],
    [60, 'owner'],
  ])('U9: access level %i is the role %s', (level, role) => {
    expect(roleOf(level)).toBe(role);
  });

  test('U9: members are inserted, changed and deleted, and those that stay as they are left alone', () => {
    const stored = new Map<number, Role>([
      [9, 'developer'],
      [2, 'reader'],
      [3, 'maintainer'],
      [4, 'owner'],
    ]);
    const listed = [
      { id: 8, accessLevel: 40 },
      { id: 2, accessLevel: 20 },
      { id: 3, accessLevel: 30 },
      { id: 4, accessLevel: 10 },
      { id: 5, accessLevel: 10 },
      { id: 1, accessLevel: 50 },
    ];
    expect(permissionChanges({ stored, listed, isComplete: true })).toEqual({
      insert: [
        { id: 1, role: 'owner' },
        { id: 8, role: 'maintainer' },
      ],
      change: [{ id: 3, role: 'developer' }],
      delete: [4, 9],
    });
  });

  test('U9: who is a member and inherits too has the higher level, whichever is listed first', () => {
    const twice = [
      { id: 1, accessLevel: 30 },
      { id: 1, accessLevel: 40 },
    ];
    for (const listed of [twice, twice.toReversed()]) {
      const changes = permissionChanges({ stored: new Map(), listed, isComplete: true });
      expect(changes).toEqual({ ...NOTHING, insert: [{ id: 1, role: 'maintainer' }] });
    }
  });

  test('U10: repositories that are not tracked are left alone', () => {
    const stored = new Map<number, Role>([
      [1, 'reader'],
      [2, 'reader'],
    ]);
    const listed = [
      { id: 3, accessLevel: 30 },
      { id: 4, accessLevel: 30 },
    ];
    expect(permissionChanges({ stored, listed, isComplete: true, isKept: (id) => id === 1 || id === 3 })).toEqual({
      insert: [{ id: 3, role: 'developer' }],
      change: [],
      delete: [1],
    });
  });

  test('U10: a complete list of nothing takes every permission', () => {
    const stored = new Map<number, Role>([[1, 'reader']]);
    expect(permissionChanges({ stored, listed: [], isComplete: true })).toEqual({ ...NOTHING, delete: [1] });
  });

  const roles = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom(...ROLES)))
    .map((entries) => new Map(entries));
  const list = fc.array(
    fc.record({ id: fc.integer({ min: 1, max: 20 }), accessLevel: fc.constantFrom(0, 5, 10, 15, 20, 30, 40, 50) }),
  );

  test('U10: an incomplete answer changes nothing', () => {
    fc.assert(
      fc.property(roles, list, (stored, listed) => {
        expect(permissionChanges({ stored, listed, isComplete: false })).toEqual(NOTHING);
      }),
    );
  });

  test('U9: once changed there is nothing left to change, and each has the role of the highest level', () => {
    fc.assert(
      fc.property(roles, list, (stored, listed) => {
        const changes = permissionChanges({ stored, listed, isComplete: true });
        const after = new Map(stored);
        for (const id of changes.delete) expect(after.delete(id)).toBe(true);
        for (const { id, role } of changes.change) {
          expect(after.has(id)).toBe(true);
          after.set(id, role);
        }
        for (const { id, role } of changes.insert) {
          expect(after.has(id)).toBe(false);
          after.set(id, role);
        }
        expect(permissionChanges({ stored: after, listed, isComplete: true })).toEqual(NOTHING);
        for (let id = 1; id <= 20; id++) {
          const level = Math.max(0, ...listed.filter((one) => one.id === id).map((one) => one.accessLevel));
          expect(after.get(id) ?? null).toBe(roleOf(level));
        }
      }),
    );
  });
});
