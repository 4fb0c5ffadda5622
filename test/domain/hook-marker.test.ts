import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hookDescription, secretIdIn } from '../../src/domain/hook-marker.ts';

const ID = '0198f3a2-6b1c-7def-8a3b-0123456789ab';

describe('G6: the secret that a hook says it was given', () => {
  test('is read as it was written, whatever a person wrote around it', () => {
    expect(secretIdIn(hookDescription(ID))).toBe(ID);
    expect(secretIdIn(`Do not touch! ${hookDescription(ID)}\nAnn`)).toBe(ID);
    expect(secretIdIn(hookDescription(ID).toUpperCase().replace('INSTALLED', 'Installed'))).toBe(ID);
    fc.assert(fc.property(fc.uuid(), (id) => secretIdIn(hookDescription(id)) === id));
  });

  test.each([undefined, null, '', 'Installed by forgeflow', `Installed by forgeflow; secret ${ID.slice(0, -1)}`, ID])(
    'is none in %j',
    (description) => {
      expect(secretIdIn(description)).toBeUndefined();
    },
  );

  test('fits into the description that GitLab keeps, and says nothing but an id', () => {
    expect(hookDescription(ID)).toBe(`Installed by forgeflow; secret ${ID}`);
    expect(hookDescription(ID).length).toBeLessThan(255);
  });
});
