import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { membersOf } from '../../src/ingress/json-members.ts';

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

describe('E13: the members of an object', () => {
  test('are its names, and the text of its values, for any JSON and any white space', () => {
    const written = fc.jsonValue({ maxDepth: 3 }).chain((value) => fc.tuple(fc.constant(value), fc.nat(4)));
    const member = fc.tuple(fc.string({ unit: 'grapheme' }), written, space, space);
    fc.assert(
      fc.property(fc.array(member, { maxLength: 5 }), space, (members, around) => {
        const texts = members.map(([name, [value, indent], before, after]) => ({
          name,
          valueText: JSON.stringify(value, null, indent),
          text: `${before}${JSON.stringify(name)}${after}:${before}${JSON.stringify(value, null, indent)}${after}`,
        }));
        const text = `${around}{${around}${texts.map((each) => each.text).join(',')}${around}}${around}`;
        JSON.parse(text);
        expect(membersOf(text)).toEqual(texts.map(({ name, valueText }) => ({ name, valueText })));
      }),
    );
  });

  test('may be nested as deep as they like', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(membersOf(`{"a":${deep}}`)).toEqual([{ name: 'a', valueText: deep }]);
  });
});
