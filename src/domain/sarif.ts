import {
  parseSarif,
  type ProblemLevel,
  type SarifLocations,
  type SarifNotification,
  type SarifResult,
  type SarifRule,
  type SarifRun,
} from './sarif-log.ts';
import { type ArtifactLocation, pathInTree, type UriBases } from './sarif-path.ts';

/** What a check has found wrong. */
export interface Problem {
  /** As git has it; null where it concerns no file of the tree. */
  path: string | null;
  /** From 1; null where it concerns the whole file. */
  line: number | null;
  /** From 1. */
  column: number | null;
  /** Null where the tool names none. */
  ruleId: string | null;
  level: ProblemLevel;
  message: string;
}

export type Results =
  | {
      problems: Problem[];
      /** How many more there are than are taken. */
      omitted: number;
    }
  /** What is wrong with it, or with the tool: a sentence without its subject. */
  | { error: string };

export interface SarifOptions {
  /** Where the tree lay for the tool: absolute paths. */
  roots?: readonly string[];
  /** The most problems that are taken. */
  problemLimit?: number;
  /** Takes out of each text what nobody is to see: while it is whole, for half a secret is not known again. */
  conceal?: (text: string) => string;
}

type Reading = Required<Pick<SarifOptions, 'roots' | 'conceal'>>;

const PROBLEM_LIMIT = 10_000;
const MESSAGE_LIMIT = 4_000; // characters
const RULE_LIMIT = 200;
const REASON_LIMIT = 200;
/**
 * The problems in what a tool has written: a SARIF log, version 2.1.0 (OASIS, 27 March 2020).
 *
 * What the tool itself does not count is left out: results that say that something is right (their `kind`), that somebody
 * has suppressed, or that are gone since an earlier run. A path that leads out of the tree is not taken; its problem is.
 */
export function readSarif(
  content: string,
  { roots = [], problemLimit = PROBLEM_LIMIT, conceal = (text) => text }: SarifOptions = {},
): Results {
  const reading: Reading = { roots, conceal };
  const parsed = parseSarif(content);
  if ('error' in parsed) return parsed;
  const problems: Problem[] = [];
  let omitted = 0;
  const add = (problem: Problem): void => {
    if (problems.length < problemLimit) problems.push(problem);
    else omitted += 1;
  };
  for (const run of parsed.runs) {
    const failure = failureOf(run, reading);
    if (failure !== null && 'error' in failure) return failure;
    failure?.problems.forEach(add);
    for (const result of run.results ?? []) if (isProblem(result)) add(problemOf(result, run, reading));
  }
  return { problems, omitted };
}

/**
 * Null where the tool does not say that it failed. Of some it means no more than that they could not read a file (a
 * syntax error, say), and they name it: then that is a problem among the others.
 */
function failureOf(run: SarifRun, reading: Reading): { problems: Problem[] } | { error: string } | null {
  const failed = run.invocations?.filter(({ executionSuccessful }) => executionSuccessful === false) ?? [];
  if (failed.length === 0) return null;
  const all = failed.flatMap((one) => [
    ...(one.toolExecutionNotifications ?? []),
    ...(one.toolConfigurationNotifications ?? []),
  ]);
  const errors = all.filter(({ level }) => level === 'error');
  const problems = errors.map((notification) => notifiedProblem(notification, run, reading));
  if (problems.length > 0 && problems.every(({ path }) => path !== null)) return { problems };
  const blamed = problems.find(({ path }) => path === null)?.message ?? all[0]?.message?.text ?? '';
  const why = printable(blamed, REASON_LIMIT, reading);
  return {
    error: `reported that ${printable(run.tool.driver.name, RULE_LIMIT, reading)} failed${why === '' ? '' : `: ${why}`}`,
  };
}

function notifiedProblem(
  { locations, message, descriptor }: SarifNotification,
  run: SarifRun,
  reading: Reading,
): Problem {
  return {
    ...placeOf(locations, run, reading),
    ruleId: printable(descriptor?.id ?? '', RULE_LIMIT, reading) || null,
    level: 'error',
    message: printable(message?.text ?? '', MESSAGE_LIMIT, reading) || 'no message',
  };
}

function isProblem({ kind, suppressions, baselineState }: SarifResult): boolean {
  if (kind !== undefined && kind !== null && !['fail', 'open', 'review'].includes(kind)) return false;
  if (baselineState === 'absent') return false;
  // One that is under review, or was turned down, suppresses nothing.
  return !(suppressions ?? []).some(({ status, state }) => ['accepted', null].includes(status ?? state ?? null));
}

function problemOf(result: SarifResult, run: SarifRun, reading: Reading): Problem {
  const rule = ruleOf(result, run);
  const ruleId = printable(result.ruleId ?? result.rule?.id ?? rule?.id ?? '', RULE_LIMIT, reading);
  return {
    ...placeOf(result.locations, run, reading),
    ruleId: ruleId || null,
    level: result.level ?? rule?.defaultConfiguration?.level ?? 'warning',
    message: printable(messageOf(result, rule, run), MESSAGE_LIMIT, reading) || ruleId || 'no message',
  };
}

type Place = Pick<Problem, 'path' | 'line' | 'column'>;

function placeOf(locations: SarifLocations, run: SarifRun, { roots, conceal }: Reading): Place {
  const place = locations?.[0]?.physicalLocation;
  const path = place?.artifactLocation ? pathOf(place.artifactLocation, run, roots) : null;
  if (path === null) return { path, line: null, column: null };
  return {
    path: conceal(wellFormed(path)),
    line: place?.region?.startLine ?? null,
    column: place?.region?.startColumn ?? null,
  };
}

function ruleOf({ rule, ruleIndex, ruleId }: SarifResult, { tool }: SarifRun): SarifRule | undefined {
  const extension = rule?.toolComponent?.index;
  const rules = (typeof extension === 'number' && extension >= 0 ? tool.extensions?.[extension] : tool.driver)?.rules;
  const at = rule?.index ?? ruleIndex ?? -1;
  const id = ruleId ?? rule?.id;
  // An id may name a part of a rule: `CA1000/1`.
  return rules?.[at] ?? rules?.find((one) => one.id === id || (one.id && id?.startsWith(`${one.id}/`)));
}

function pathOf(
  location: ArtifactLocation & { index?: number | null | undefined },
  run: SarifRun,
  roots: readonly string[],
): string | null {
  const listed = typeof location.index === 'number' ? run.artifacts?.[location.index]?.location : undefined;
  const bases: UriBases = run.originalUriBaseIds ?? {};
  return pathInTree(location.uri ? location : (listed ?? location), bases, roots);
}

function messageOf({ message }: SarifResult, rule: SarifRule | undefined, { tool }: SarifRun): string {
  const id = message.id ?? '';
  const template =
    message.text ?? own(rule?.messageStrings, id)?.text ?? own(tool.driver.globalMessageStrings, id)?.text;
  const given = message.arguments ?? [];
  const filled = template?.replace(/\{\{|\}\}|\{(\d+)\}/g, (whole, number: string | undefined) =>
    number === undefined ? whole.charAt(0) : (given[Number(number)] ?? whole),
  );
  // Without arguments the braces are the message's own, more often than not.
  return (given.length === 0 && message.text ? message.text : filled) ?? message.markdown ?? '';
}

function own<T>(record: Record<string, T> | null | undefined, key: string): T | undefined {
  return record && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Text that a terminal shows and Postgres stores: without control characters but line feeds and tabs. */
function printable(text: string, limit: number, { conceal }: Reading): string {
  const clean = wellFormed(conceal(text).replace(/\r\n?/g, '\n')).replace(/[^\P{Cc}\n\t]/gu, '\ufffd');
  const trimmed = clean.trim();
  return trimmed.length <= limit ? trimmed : `${wellFormed(trimmed.slice(0, limit - 1))}…`;
}

/** Halves of a surrogate pair are no characters. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
