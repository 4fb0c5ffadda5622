import type { z } from 'zod';
import type { ManifestError } from './manifest-error.ts';
import type { YamlPath, YamlTree } from './manifest-yaml.ts';

/** The fault that comes first in the text, for a person who goes through it from the top. */
export function firstFault(tree: YamlTree, issues: readonly z.core.$ZodIssue[]): ManifestError {
  const faults = issues.map((issue) => {
    const isSurplus = issue.code === 'unrecognized_keys';
    const path = [...issue.path, ...(isSurplus ? issue.keys.slice(0, 1) : [])] as YamlPath;
    const isAboutKey = isSurplus || (issue.code === 'custom' && issue.params?.['at'] === 'key');
    const at = isAboutKey || issue.input === null ? ('key' as const) : ('value' as const);
    return { offset: tree.offsetOf(path, at), make: () => tree.fault(path, problemOf(issue), at) };
  });
  const first = faults.reduce((found, fault) => (fault.offset < found.offset ? fault : found));
  return first.make();
}

const WANTED: Partial<Record<string, string>> = {
  object: 'a mapping of keys to values',
  record: 'a mapping of keys to values',
  array: 'a list',
  string: 'text (write it in quotes)',
};

function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.input === undefined && issue.code !== 'unrecognized_keys' && issue.code !== 'custom')
    return 'it is missing';
  if (issue.input === null) return 'it has no value';
  if (issue.code !== 'invalid_type') return issue.message;
  return WANTED[issue.expected] === undefined ? issue.message : `it is not ${WANTED[issue.expected]}`;
}
