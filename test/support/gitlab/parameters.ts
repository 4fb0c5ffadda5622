import { grapeRefusal } from './answer.ts';
import { isSince, type Settings } from './settings.ts';

export interface Parameter {
  type: 'string' | 'boolean' | 'integer' | 'headers';
  required?: boolean;
  /** What a string may be. */
  values?: readonly string[];
  /** The version of GitLab that knows it first. */
  since?: string;
}
export type Parameters = Record<string, unknown>;

/**
 * Takes what a route declares, as Grape does: what it does not declare is passed over.
 * @returns the values, and the names of those passed over
 * @throws Refusal 400 that names every wrong one
 */
export function declared(
  known: Record<string, Parameter>,
  given: Parameters,
  settings: Settings,
): { values: Parameters; unknown: string[] } {
  const values: Parameters = {};
  const wrong: string[] = [];
  for (const [name, parameter] of Object.entries(known)) {
    if (parameter.since !== undefined && !isSince(settings, parameter.since)) continue;
    const value = given[name];
    if (value === undefined || value === null) {
      if (parameter.required === true) wrong.push(`${name} is missing`);
      continue;
    }
    const read = coerce(parameter, value);
    if (read === INVALID) wrong.push(`${name} is invalid`);
    else if (parameter.values !== undefined && !parameter.values.includes(read as string))
      wrong.push(`${name} does not have a valid value`);
    else values[name] = read;
  }
  if (wrong.length > 0) throw grapeRefusal(400, wrong.join(', '));
  const isKnown = (name: string): boolean => {
    const since = known[name]?.since;
    return name in known && (since === undefined || isSince(settings, since));
  };
  return { values, unknown: Object.keys(given).filter((name) => !isKnown(name)) };
}

const INVALID = Symbol('invalid');
const TRUE = new Set<unknown>([true, 'true', 't', '1', 1, 'yes', 'on']);
const FALSE = new Set<unknown>([false, 'false', 'f', '0', 0, 'no', 'off']);

function coerce({ type }: Parameter, value: unknown): unknown {
  switch (type) {
    case 'boolean':
      return TRUE.has(value) ? true : FALSE.has(value) ? false : INVALID;
    case 'integer':
      return typeof value === 'number' || (typeof value === 'string' && /^-?\d{1,15}$/.test(value))
        ? Math.trunc(Number(value))
        : INVALID;
    case 'string':
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? String(value)
        : INVALID;
    case 'headers':
      return headersIn(value);
  }
}

/** `[{ key, value }, …]`, which becomes values by name. */
function headersIn(value: unknown): unknown {
  if (!Array.isArray(value)) return INVALID;
  const entries: [string, string][] = [];
  for (const item of value as unknown[]) {
    if (typeof item !== 'object' || item === null) return INVALID;
    const { key, value: text } = item as Parameters;
    if (typeof key !== 'string' || typeof text !== 'string') return INVALID;
    entries.push([key, text]);
  }
  return Object.fromEntries(entries);
}
