import { type Description, resolve, type Schema } from './openapi-description.ts';

/** A number from 0 up to, and without, 1. */
export type Chance = () => number;

/** The same sequence for the same seed (a linear congruential generator). */
export function chanceOf(seed: number): Chance {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Some value that the schema allows: optional attributes come or stay away, lists are short or empty. */
export function sampleOf(description: Description, given: Schema, chance: Chance): unknown {
  const schema = resolve(description, given);
  const sample = (inner: Schema): unknown => sampleOf(description, inner, chance);
  if (schema.nullable && chance() < 0.3) return null;
  if (schema.enum !== undefined) return schema.enum[Math.floor(chance() * schema.enum.length)];
  if (schema.example !== undefined) return schema.example;
  switch (schema.type) {
    case 'object': {
      const present = Object.entries(schema.properties ?? {}).filter(
        ([name]) => (schema.required ?? []).includes(name) || chance() < 0.7,
      );
      return Object.fromEntries(present.map(([name, inner]) => [name, sample(inner)]));
    }
    case 'array':
      return Array.from({ length: Math.floor(chance() * 4) }, () => sample(schema.items ?? {}));
    case 'boolean':
      return chance() < 0.5;
    case 'integer':
    case 'number':
      return (schema.minimum ?? 0) + Math.floor(chance() * 1e6);
    default:
      return ['', 'text', 'ü\u{1f600} "quoted"', 'x'.repeat(300)][Math.floor(chance() * 4)];
  }
}
