import { ManifestError } from './manifest-error.ts';
import { firstFault } from './manifest-fault.ts';
import { conflictOf, manifestSchema, type MountedSecret } from './manifest-schema.ts';
import { decodeUtf8 } from './manifest-text.ts';
import { readYaml, type YamlPath } from './manifest-yaml.ts';

/** The largest manifest, in bytes. */
export const MANIFEST_LIMIT = 64 * 1024;

export interface Manifest {
  coverage: {
    /** From 0 to 100; null: none is required. */
    minPercent: number | null;
    /** Globs, as `coverage-exclusion` describes them. */
    excludePaths: string[];
  };
  /** Each with the defaults merged in; no two of them run the same plugin. */
  checks: Check[];
}

export interface Check {
  /** The name by which the installation knows the plugin. */
  plugin: string;
  env: Record<string, string>;
  secrets: MountedSecret[];
}

/**
 * What a repository's manifest says, from the bytes of the file. The defaults are merged into each check so: of variables of
 * the same name, and of secrets with the same path, the check's own replaces the default; all others are there side by
 * side, the defaults' first. There is no way to take a default away; a variable can be made empty (`''`).
 * @throws ManifestError for the first thing in the text that is wrong
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MANIFEST_LIMIT) {
    throw new ManifestError({
      line: 1,
      column: 1,
      key: null,
      problem: `the file is ${bytes.length} bytes long; ${MANIFEST_LIMIT} (64 KiB) at most`,
    });
  }
  const tree = readYaml(decodeUtf8(bytes), isEnvValue);
  if (tree.value === null) throw tree.fault([], 'the file is empty; the least that stands in it is "version: 1"');
  const { success, data, error } = manifestSchema.safeParse(tree.value, { reportInput: true });
  if (!success) throw firstFault(tree, error.issues);

  const defaults = { env: data.defaults?.env ?? {}, secrets: data.defaults?.secrets ?? [] };
  const checks = (data.checks ?? []).map((check, i): Check => {
    const own = check.secrets ?? [];
    const taken = new Set(own.map(({ path }) => path));
    const merged = [...defaults.secrets.filter(({ path }) => !taken.has(path)), ...own];
    const conflict = conflictOf(merged);
    if (conflict) throw tree.fault(['checks', i, 'secrets'], `with those of defaults: ${conflict.problem}`, 'key');
    return { plugin: check.plugin, env: { ...defaults.env, ...check.env }, secrets: merged };
  });
  return {
    coverage: { minPercent: data.coverage?.min_percent ?? null, excludePaths: data.coverage?.exclude_paths ?? [] },
    checks,
  };
}

/** Of a variable the text counts, as it stands there: `1.10` is not 1.1, nor `0x1F` 31. */
function isEnvValue(path: YamlPath): boolean {
  const [section] = path;
  return (
    (section === 'defaults' && path[1] === 'env' && path.length === 3) ||
    (section === 'checks' && path[2] === 'env' && path.length === 4)
  );
}
