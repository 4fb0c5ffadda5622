import { z } from 'zod';
import { ManifestError } from './manifest-error.ts';
import { firstFault } from './manifest-fault.ts';
import { env, pluginName, section } from './manifest-schema.ts';
import { decodeUtf8 } from './manifest-text.ts';
import { readYaml, type YamlPath } from './manifest-yaml.ts';

/** What an installation runs for the checks that name it. What has no limit of its own has the usual one. */
export interface CheckPlugin {
  /** A line for the shell; or a program with its arguments. */
  command: string | string[];
  /** A check's own variable of the same name goes first. */
  env: Record<string, string>;
  timeLimitSeconds: number | undefined;
  /** Of all its processes together. */
  memoryLimitMb: number | undefined;
  /** Of what it prints, and of what it reports. */
  outputLimitKb: number | undefined;
  /** Of what it writes, beside what was checked out. */
  diskLimitMb: number | undefined;
  /** At one time. */
  processes: number | undefined;
}

/** The largest file of plugins, in bytes. */
export const PLUGINS_LIMIT = 256 * 1024;

const limit = (most: number) =>
  z
    .number('it is not a number')
    .int('it is not a whole number')
    .min(1, 'it is below 1')
    .max(most, `it is above ${most}`)
    .optional();

const command = z
  .union([z.string(), z.array(z.string())], 'it is neither a line for the shell nor a list of texts')
  .refine((given) => (typeof given === 'string' ? given : (given[0] ?? '')).trim() !== '', 'it names no program');

const pluginsSchema = section({
  version: z.literal(1, 'it is not 1, which is the only version there is'),
  plugins: z.record(
    z.string(),
    section({
      command,
      // The job itself is given two hours, and has to fetch and check out as well.
      time_limit_seconds: limit(3_600),
      memory_limit_mb: limit(1_048_576),
      // It is held in memory.
      output_limit_kb: limit(102_400),
      disk_limit_mb: limit(1_048_576),
      processes: limit(4_096),
      env: env.optional(),
    }),
  ),
});

/**
 * The plugins of an installation by their names, as checks in a manifest name them, from the bytes of the file.
 * @param file its name, for what is wrong with it
 * @throws ManifestError for the first thing in the text that is wrong
 */
export function parseCheckPlugins(bytes: Uint8Array, file: string): Map<string, CheckPlugin> {
  if (bytes.length > PLUGINS_LIMIT) {
    const problem = `the file is ${bytes.length} bytes long; ${PLUGINS_LIMIT} (256 KiB) at most`;
    throw new ManifestError({ line: 1, column: 1, key: null, problem, file });
  }
  const tree = readYaml(decodeUtf8(bytes, file), isText, file);
  if (tree.value === null) throw tree.fault([], 'the file is empty; the least is "version: 1" and "plugins: {}"');
  const { success, data, error } = pluginsSchema.safeParse(tree.value, { reportInput: true });
  if (!success) throw firstFault(tree, error.issues);

  const plugins = new Map<string, CheckPlugin>();
  for (const [name, given] of Object.entries(data.plugins)) {
    const named = pluginName.safeParse(name);
    if (!named.success) throw tree.fault(['plugins', name], named.error.issues[0]?.message ?? 'it is wrong', 'key');
    plugins.set(name, {
      command: given.command,
      env: given.env ?? {},
      timeLimitSeconds: given.time_limit_seconds,
      memoryLimitMb: given.memory_limit_mb,
      outputLimitKb: given.output_limit_kb,
      diskLimitMb: given.disk_limit_mb,
      processes: given.processes,
    });
  }
  return plugins;
}

/** Of variables, and of arguments, the text counts as it stands there: `1.10` is not 1.1. */
function isText([section, , key, ...rest]: YamlPath): boolean {
  if (section !== 'plugins') return false;
  return (key === 'command' && rest.length <= 1) || (key === 'env' && rest.length === 1);
}
