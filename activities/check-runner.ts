import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { type CheckHost, createCheckHost } from '../src/checks/check-host.ts';
import type { CheckOutcome } from '../src/checks/outcome.ts';
import { type Check, runCheck } from '../src/checks/run-check.ts';
import { sweepCheckRuns } from '../src/checks/run-folder.ts';
import type { Config } from '../src/config.ts';
import { type CheckPlugin, parseCheckPlugins } from '../src/domain/check-plugins.ts';
import { ManifestError } from '../src/domain/manifest-error.ts';

/** The machine as checks are run on it, and the plugins that it knows. */
export interface CheckRunner {
  /** The plugins, as the file has them at this moment. @throws PluginsUnknown */
  plugins(): Promise<Map<string, CheckPlugin>>;
  /** See {@link runCheck}. */
  run(check: Check): Promise<CheckOutcome>;
  /** Takes away what workers that were killed have left of their checks on this machine. @returns of how many */
  sweep(): Promise<number>;
}

/** The file of plugins is not there, or cannot be used. The message is one sentence that begins with the setting. */
export class PluginsUnknown extends Error {
  override readonly name = 'PluginsUnknown';
}

const SWEEP_EVERY_MS = 10_000;
const UNCONFINED =
  "this machine gives checks no namespaces of their own: plugins may read what the worker's user may, its environment too";

/** @param warn told once where checks are not kept from this machine although nobody has said so */
export function createCheckRunner(config: Config, warn: (message: string) => void = () => undefined): CheckRunner {
  const root = join(config.storageDirectory, 'checks');
  let host: Promise<CheckHost> | undefined;
  let sweptAt = Number.NEGATIVE_INFINITY;

  /** What the system allows is found out when it is first needed: most workers run no checks. */
  async function findHost(): Promise<CheckHost> {
    const { checkConfinement, programPath: path } = config;
    const confinement = checkConfinement === 'none' ? 'none' : undefined;
    const found = await createCheckHost({ root, path, hidden: hiddenOf(config), confinement });
    if (found.confinement === 'none' && confinement === undefined) warn(UNCONFINED);
    return found;
  }

  async function knownHost(): Promise<CheckHost> {
    host ??= findHost();
    return host.catch((error: unknown) => {
      host = undefined;
      throw error;
    });
  }

  async function sweep(): Promise<number> {
    sweptAt = Date.now();
    return sweepCheckRuns(root);
  }

  return {
    async plugins() {
      const file = config.checkPluginsFile;
      if (file === undefined) throw new PluginsUnknown('CHECK_PLUGINS is not set on the worker');
      try {
        return parseCheckPlugins(await readFile(file), basename(file));
      } catch (error) {
        throw new PluginsUnknown(`CHECK_PLUGINS: ${problemOf(error)}`);
      }
    },
    async run(check) {
      // A check that is run once more because its worker was killed finds nothing left of the time before.
      if (Date.now() - sweptAt > SWEEP_EVERY_MS) await sweep().catch(() => undefined);
      return runCheck(await knownHost(), check);
    },
    sweep,
  };
}

function problemOf(error: unknown): string {
  if (error instanceof ManifestError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return code === 'ENOENT' ? 'there is no such file on the worker' : `the file cannot be read on the worker (${code})`;
}

/** What a plugin must not read where it can be kept from it: clones of other repositories, and whatever has our secrets. */
function hiddenOf({ storageDirectory, home, dotenvFile, checkPluginsFile, temporalEnv }: Config): string[] {
  const files = [
    checkPluginsFile,
    temporalEnv['TEMPORAL_CONFIG_FILE'],
    temporalEnv['TEMPORAL_TLS_CLIENT_KEY_PATH'],
    join(homedir(), '.config', 'temporalio'),
  ];
  return [storageDirectory, home, dotenvFile, ...files.filter((file) => file !== undefined)];
}
