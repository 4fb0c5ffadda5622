import type { Config } from '../src/config.ts';

/** The machine as checks are run on it, and the plugins that it knows. */
export interface CheckRunner {
  readonly pluginsFile: string | undefined;
}

export function createCheckRunner(config: Config): CheckRunner {
  return { pluginsFile: config.checkPluginsFile };
}
