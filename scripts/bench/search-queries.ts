import type { CodeFile } from './code-text.ts';
import { seededDice } from './pattern-mix.ts';

export interface Query {
  kind: string;
  /** What is searched for; none of them has quotes or white space, but a phrase. */
  terms: string[];
}

const EVERYWHERE = 'the return import function export if name to for options error true null value'.split(' ');
const SIGNS = ['=>', '()', '{', '===', '});', '//'];

/** What people search for, in the words of files that are there: a few of each kind. */
export function makeQueries(sample: readonly CodeFile[], ofEachKind: number): Query[] {
  const dice = seededDice(7);
  const pick = <T>(from: readonly T[]): T => from[dice(from.length)]!;
  const texts = sample.flatMap(({ content }) => (typeof content === 'string' && content.length > 500 ? content : []));
  const namesOf = (text: string): string[] => [...new Set(text.match(/[A-Za-z_]\w{5,29}/g))];
  const kinds: Record<string, () => string[]> = {
    'a name': () => [pick(namesOf(pick(texts)))],
    'part of a name': () => [pick(namesOf(pick(texts))).slice(1, 6)],
    'two names of a file': () => {
      const names = namesOf(pick(texts));
      return [pick(names), pick(names)];
    },
    'three words of a file': () => {
      const words = pick(texts).match(/[A-Za-z]{3,}/g) ?? [];
      return [pick(words), pick(words), pick(words)];
    },
    'a phrase': () => [phraseOf(pick(texts), dice)],
    'a word of nearly every file': () => [pick(EVERYWHERE)],
    'two of those': () => [pick(EVERYWHERE), pick(EVERYWHERE)],
    'one or two letters': () => [pick('e x on ab s3 id t i ok rx'.split(' '))],
    'signs only': () => [pick(SIGNS)],
    nothing: () => [`no${dice(1_000_000)}where`],
  };
  return Object.entries(kinds).flatMap(([kind, make]) =>
    Array.from({ length: ofEachKind }, () => ({ kind, terms: make() })),
  );
}

function phraseOf(text: string, dice: (sides: number) => number): string {
  const lines = text.split('\n').filter((line) => /^[ \w.,(){}=;'`:$-]{20,200}$/.test(line));
  const line = (lines[dice(Math.max(lines.length, 1))] ?? 'no line is like that').trim();
  const from = dice(5);
  return line.slice(from, from + 8 + dice(25)).trim();
}

/** As it is typed for forgeflow. */
export function typed({ terms }: Query): string {
  return terms.map((term) => `"${term.replace(/["\\]/g, '\\$&')}"`).join(' ');
}
