import type { z } from 'zod';
import { invalid } from './refusal.ts';

/**
 * What came from outside, as far as the schema knows it.
 * @param whole the name of the whole of it, for an error that no one field is to blame for
 * @throws Refusal that names the field by its path (`object_attributes.iid`) and does not repeat its value
 */
export function narrow<Schema extends z.ZodType>(schema: Schema, value: unknown, whole: string): z.infer<Schema> {
  const { success, data, error } = schema.safeParse(value, { reportInput: true });
  if (success) return data;
  const issue = error.issues[0];
  const path = issue?.path.map(String) ?? [];
  // Of a field that should not be there the path is where it stands, so its name has to be added.
  if (issue?.code === 'unrecognized_keys') path.push((issue.keys[0] ?? '').slice(0, 64));
  throw invalid(path.length === 0 ? whole : path.join('.'), issue === undefined ? 'it is wrong' : problemOf(issue));
}

const WANTED: Partial<Record<string, string>> = {
  object: 'a JSON object',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return 'there is no such field';
  if (issue.code !== 'invalid_type') return issue.message;
  if (issue.input === undefined && issue.path.length > 0) return 'it is missing';
  return `it is not ${WANTED[issue.expected] ?? `of type ${issue.expected}`}`;
}
