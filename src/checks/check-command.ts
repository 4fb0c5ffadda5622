/** What a check is, apart from the tree that it looks at. */
export interface CheckCommand {
  /** A program with its arguments; or a line for the shell. */
  command: readonly string[] | string;
  env?: Readonly<Record<string, string>>;
  /** Each a file of that name in the folder that `FORGEFLOW_SECRETS` names. */
  secrets?: Readonly<Record<string, string | Buffer>>;
  /** Secrets too, by the paths at which the check finds them in its home folder: `.config/pip/pip.conf`. */
  homeFiles?: Readonly<Record<string, string | Buffer>>;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Ours, and those that some shells do not let one set. */
const RESERVED = /^(FORGEFLOW_\w*|PPID|UID|EUID|SHELLOPTS|BASHOPTS|BASH_VERSINFO)$/;
const FILE_NAME = /^(?!\.{1,2}$)[\w.-]{1,255}$/;

/**
 * What is wrong with a check before anything of it is run; null where nothing is. A sentence without its subject, that
 * repeats no values.
 */
export function problemOfCommand({ command, env = {}, secrets = {}, homeFiles = {} }: CheckCommand): string | null {
  const parts = typeof command === 'string' ? [command] : command;
  if (parts.length === 0 || parts[0]?.trim() === '') return 'has no command';
  // A system takes 128 KiB for one argument.
  if (parts.join(' ').length > 100_000) return 'has a command of more than 100,000 characters';
  if (parts.some((part) => part.includes('\0'))) return 'has a command with a NUL in it';
  // What the shell's exec would take for an option.
  if (typeof command !== 'string' && command[0]?.startsWith('-')) return 'has a program whose name begins with "-"';
  for (const [name, value] of Object.entries(env)) {
    if (!NAME.test(name)) return `has an environment variable with a wrong name: ${JSON.stringify(name)}`;
    if (RESERVED.test(name)) return `must not set the environment variable ${name}`;
    if (value.includes('\0')) return `has the environment variable ${name} with a NUL in it`;
  }
  const wrong = Object.keys(secrets).find((name) => !FILE_NAME.test(name));
  if (wrong !== undefined) return `has a secret with a wrong name: ${JSON.stringify(wrong)}`;
  const astray = Object.keys(homeFiles).find((path) => !path.split('/').every(isSegment));
  return astray === undefined ? null : `has a secret at a path that is none: ${JSON.stringify(astray)}`;
}

function isSegment(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !text.includes('\0');
}
