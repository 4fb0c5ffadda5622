import { z } from 'zod';
import { narrow } from './narrow.ts';
import { Refusal } from './refusal.ts';

export const PROBLEM_LEVELS = ['none', 'note', 'warning', 'error'] as const;
export type ProblemLevel = (typeof PROBLEM_LEVELS)[number];

// As Postgres' `integer`.
const LARGEST_NUMBER = 2 ** 31 - 1;

const text = z.string();
const index = z.int().min(-1).nullish();
const position = z.int().min(1).max(LARGEST_NUMBER).nullish();
const artifactLocation = z.object({ uri: text.nullish(), uriBaseId: text.nullish(), index });
const message = z.object({
  text: text.nullish(),
  markdown: text.nullish(),
  id: text.nullish(),
  arguments: z.array(text).nullish(),
});
const strings = z.record(text, z.object({ text: text.nullish() })).nullish();
const level = z.enum(PROBLEM_LEVELS).nullish();
const rule = z.object({
  id: text.nullish(),
  messageStrings: strings,
  defaultConfiguration: z.object({ level }).nullish(),
});
export type SarifRule = z.infer<typeof rule>;
const component = z.object({ name: text.nullish(), rules: z.array(rule).nullish(), globalMessageStrings: strings });
const locations = z
  .array(
    z.object({
      physicalLocation: z
        .object({
          artifactLocation: artifactLocation.nullish(),
          region: z.object({ startLine: position, startColumn: position }).nullish(),
        })
        .nullish(),
    }),
  )
  .nullish();
export type SarifLocations = z.infer<typeof locations>;
const result = z.object({
  ruleId: text.nullish(),
  ruleIndex: index,
  rule: z.object({ id: text.nullish(), index, toolComponent: z.object({ index }).nullish() }).nullish(),
  kind: text.nullish(),
  level,
  message,
  locations,
  suppressions: z.array(z.object({ status: text.nullish(), state: text.nullish() })).nullish(),
  baselineState: text.nullish(),
});
export type SarifResult = z.infer<typeof result>;
const notification = z.object({
  level: text.nullish(),
  message: message.nullish(),
  locations,
  descriptor: z.object({ id: text.nullish() }).nullish(),
});
export type SarifNotification = z.infer<typeof notification>;
const run = z.object({
  tool: z.object({ driver: component.extend({ name: text }), extensions: z.array(component).nullish() }),
  invocations: z
    .array(
      z.object({
        executionSuccessful: z.boolean().nullish(),
        toolExecutionNotifications: z.array(notification).nullish(),
        toolConfigurationNotifications: z.array(notification).nullish(),
      }),
    )
    .nullish(),
  originalUriBaseIds: z.record(text, artifactLocation).nullish(),
  artifacts: z.array(z.object({ location: artifactLocation.nullish() })).nullish(),
  results: z.array(result).nullish(),
});
export type SarifRun = z.infer<typeof run>;
const log = z.object({ version: z.literal('2.1.0', { error: 'it is not 2.1.0' }), runs: z.array(run) });
export type SarifLog = z.infer<typeof log>;

/** A SARIF log, version 2.1.0, as far as it is read here; or what is wrong with it, as a sentence without its subject. */
export function parseSarif(content: string): SarifLog | { error: string } {
  let value: unknown;
  try {
    value = JSON.parse(content.replace(/^\ufeff/, ''));
  } catch {
    // Its message repeats what it could not read.
    return { error: content.trim() === '' ? 'reported nothing' : 'reported something that is not JSON' };
  }
  try {
    return narrow(log, value, 'the whole of it');
  } catch (error) {
    if (error instanceof Refusal) return { error: `reported something that is not SARIF 2.1.0: ${error.message}` };
    throw error;
  }
}
