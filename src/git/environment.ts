import type { Git } from './git.ts';

export type ConfigEntry = readonly [key: string, value: string];

// The tree without entries, which every repository has: git 2.43 to 2.45 would read the attributes of HEAD in a bare
// clone, other versions none. So none it is, for all of them.
const NO_ATTRIBUTES = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

const CONFIG: readonly ConfigEntry[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.attributesFile', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['attr.tree', NO_ATTRIBUTES],
  // Whoever fetches tidies up itself, under the clone's lock; nothing goes on in the background.
  ['gc.auto', '0'],
  ['gc.autoDetach', 'false'],
  ['maintenance.auto', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  ['transfer.bundleURI', 'false'],
  ['transfer.credentialsInUrl', 'die'],
  ['credential.helper', ''],
  ['core.askPass', ''],
  // Only where the exchange begins, and never in its middle.
  ['http.followRedirects', 'initial'],
  // Not one byte for two minutes: a server that still works on the answer sends at least one every few seconds.
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '120'],
];

export interface Surroundings {
  /** The clone that the command is about. */
  gitDirectory?: string | undefined;
  config?: readonly ConfigEntry[];
  variables?: Readonly<Record<string, string>>;
}

/**
 * All that git finds in its environment. Nothing is inherited: neither the machine's or the user's configuration,
 * `~/.netrc` and hooks, nor `GIT_*` of whoever started us, which could make it print what it sends.
 */
export function environmentOf(
  git: Git,
  { gitDirectory, config = [], variables = {} }: Surroundings,
): Record<string, string> {
  return {
    PATH: git.path,
    TMPDIR: git.temporaryDirectory,
    HOME: '/dev/null',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    // None, unless the command talks to a server.
    GIT_ALLOW_PROTOCOL: '',
    // Said in any case, so that none is looked for in the folders above.
    GIT_DIR: gitDirectory ?? '/dev/null',
    ...(git.caFile === undefined ? {} : { GIT_SSL_CAINFO: git.caFile }),
    ...variables,
    ...configVariables([...CONFIG, ...config]),
  };
}

/** Configuration of one process: it stands in no file and on no command line. */
function configVariables(entries: readonly ConfigEntry[]): Record<string, string> {
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(entries.length) };
  for (const [index, [key, value]] of entries.entries()) {
    variables[`GIT_CONFIG_KEY_${index}`] = key;
    variables[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return variables;
}
