import type { CheckCommand } from '../src/checks/check-command.ts';
import type { CheckLimits } from '../src/checks/limits.ts';
import { limitsOf } from '../src/checks/plugin-limits.ts';
import type { CommitCheck } from '../src/database/checks.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { findSecrets } from '../src/database/secrets.ts';
import { ManifestError } from '../src/domain/manifest-error.ts';
import type { MountedSecret } from '../src/domain/manifest-schema.ts';
import { type Check, parseManifest } from '../src/domain/manifest.ts';
import type { Clone } from '../src/git/clone.ts';
import { readManifestAt } from '../src/git/commit-manifest.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { type CheckRunner, PluginsUnknown } from './check-runner.ts';

export interface CheckInputsDependencies {
  db: ForgeflowDatabase;
  sealer: Sealer;
  checkRunner: Pick<CheckRunner, 'plugins'>;
}

export type CheckInputs = CheckCommand & { limits: Partial<CheckLimits> };

/** A check that cannot be run as things are in the installation, or in the commit. The message is a sentence without its subject. */
export class Unrunnable extends Error {
  override readonly name = 'Unrunnable';
}

/**
 * What a check is to be run with: the installation's plugin, with what the manifest of the commit says of it.
 * @throws Unrunnable; Error where a secret does not open
 */
export async function checkInputs(
  dependencies: CheckInputsDependencies,
  check: CommitCheck,
  clone: Clone,
): Promise<CheckInputs> {
  const plugin = (await pluginsOf(dependencies.checkRunner)).get(check.plugin);
  if (plugin === undefined) throw new Unrunnable('is no plugin of this installation');
  const { env, secrets } = await configuredCheck(clone, check);
  return {
    command: plugin.command,
    env: { ...plugin.env, ...env },
    homeFiles: await openSecrets(dependencies, check.repository.id, secrets),
    limits: limitsOf(plugin),
  };
}

async function pluginsOf(runner: Pick<CheckRunner, 'plugins'>): ReturnType<CheckRunner['plugins']> {
  try {
    return await runner.plugins();
  } catch (error) {
    if (error instanceof PluginsUnknown) throw new Unrunnable(`cannot be run: ${error.message}`);
    throw error;
  }
}

async function configuredCheck(clone: Clone, { sha, plugin }: CommitCheck): Promise<Check> {
  try {
    const manifest = await readManifestAt(clone, sha);
    const found = manifest && parseManifest(manifest).checks.find((check) => check.plugin === plugin);
    if (found) return found;
  } catch (error) {
    if (error instanceof ManifestError) throw new Unrunnable(`cannot be run: ${error.message}`);
    throw error;
  }
  throw new Unrunnable('is not among the checks of this commit');
}

async function openSecrets(
  { db, sealer }: CheckInputsDependencies,
  repositoryId: number,
  mounted: readonly MountedSecret[],
): Promise<Record<string, string>> {
  const sealed = await findSecrets(
    db,
    repositoryId,
    mounted.map(({ name }) => name),
  );
  return Object.fromEntries(
    mounted.map(({ name, path }) => {
      const found = sealed.get(name);
      if (found === undefined) throw new Unrunnable(`has no secret ${name}; see "forgeflow secrets set"`);
      return [path.replace(/^~\//, ''), sealer.open(found)];
    }),
  );
}
