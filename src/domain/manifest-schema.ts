import { z } from 'zod';
import { globProblem } from './coverage-exclusion.ts';
import { shown } from './manifest-error.ts';

const CHECKS_LIMIT = 50;
const ENV_LIMIT = 100;
const SECRETS_LIMIT = 50;
const GLOBS_LIMIT = 100;

/** A secret of the repository, as a file that the check finds in its home folder. */
export interface MountedSecret {
  name: string;
  /** `~/.npmrc`: always within the home folder, which is the check's own. */
  path: string;
}

/** A mapping whose other keys are refused with the ones that there are. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const keys = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? `there is no such key; there are: ${keys}` : undefined),
  });
}

const percent = z
  .number('it is not a number from 0 to 100 (without a percent sign)')
  .min(0, 'it is below 0')
  .max(100, 'it is above 100');

const glob = z.string().superRefine((text, context) => {
  const problem = globProblem(text);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Names whose values a check is started with; another value would take its own home or tools from it. */
const OURS = /^(?:HOME|PATH|TMPDIR|FORGEFLOW_.*)$/;

export const env = z
  .record(z.string(), z.string().regex(/^[^\0]*$/, 'it has a NUL character in it'))
  .superRefine((found, context) => {
    const names = Object.keys(found);
    if (names.length > ENV_LIMIT) {
      context.addIssue({ code: 'custom', message: `these are more than ${ENV_LIMIT} variables` });
    }
    const refuse = (name: string, message: string) => {
      context.addIssue({ code: 'custom', message, path: [name], params: { at: 'key' } });
    };
    for (const name of names) {
      if (!ENV_NAME.test(name)) refuse(name, 'a variable is named by letters, digits and _, not by a digit first');
      else if (OURS.test(name)) refuse(name, 'this variable is set for every check, and cannot be changed');
    }
  });

export const pluginName = z
  .string()
  .max(255, 'it is longer than 255 characters')
  .regex(/^[A-Za-z0-9][\w.-]*(?:[/:@][\w.-]+)*$/, 'it is not the name of a plugin');

/** How a secret may be named. */
export const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
export const SECRET_NAME_PROBLEM = 'a secret is named by letters, digits, _ and -';

const secret = section({
  name: z.string().regex(SECRET_NAME, SECRET_NAME_PROBLEM),
  path: z.string().refine(isInHome, 'it is not the path of a file in the home folder of the check, as in ~/.npmrc'),
});

const secrets = z
  .array(secret)
  .max(SECRETS_LIMIT, `these are more than ${SECRETS_LIMIT} secrets`)
  .superRefine((found, context) => {
    const conflict = conflictOf(found);
    if (conflict) context.addIssue({ code: 'custom', message: conflict.problem, path: [conflict.index, 'path'] });
  });

/** The manifest as it is written, with nothing merged yet. */
export const manifestSchema = section({
  version: z.literal(1, 'it is not 1, which is the only version there is'),
  coverage: section({
    min_percent: percent.optional(),
    exclude_paths: z.array(glob).max(GLOBS_LIMIT, `these are more than ${GLOBS_LIMIT} globs`).optional(),
  }).optional(),
  checks: z
    .array(
      section({
        plugin: pluginName,
        env: env.optional(),
        secrets: secrets.optional(),
      }),
    )
    .max(CHECKS_LIMIT, `these are more than ${CHECKS_LIMIT} checks`)
    .superRefine((found, context) => {
      const again = found.findIndex(({ plugin }, i) => found.findIndex((other) => other.plugin === plugin) < i);
      // It is by its plugin that a check is known, to people and in the ids of its runs.
      if (again !== -1) {
        context.addIssue({
          code: 'custom',
          message: 'another check runs this plugin already',
          path: [again, 'plugin'],
        });
      }
    })
    .optional(),
  defaults: section({ env: env.optional(), secrets: secrets.optional() }).optional(),
});

function isInHome(path: string): boolean {
  if (!path.startsWith('~/') || path.length > 255 || /\p{Cc}/u.test(path)) return false;
  return path
    .slice(2)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Of secrets that cannot all be files: which one, and why. */
export function conflictOf(list: readonly MountedSecret[]): { index: number; problem: string } | null {
  for (const [index, { path }] of list.entries()) {
    for (const other of list.slice(0, index)) {
      if (other.path === path) return { index, problem: `another secret is mounted at ${shown(path)} already` };
      if (other.path.startsWith(`${path}/`) || path.startsWith(`${other.path}/`)) {
        return { index, problem: `${shown(path)} and ${shown(other.path)} cannot both be files` };
      }
    }
  }
  return null;
}
