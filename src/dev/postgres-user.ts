import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';

interface User {
  uid: number;
  gid: number;
}

/** How to run a program of Postgres, which refuses to be root. */
export interface PostgresUser {
  /** Undefined where the programs run as whoever we are. */
  owner: User | undefined;
  /** @param directory the data, which belongs to that user; only the way to it may be closed */
  command(
    program: string,
    args: string[],
    directory: string,
  ): { command: string; args: string[]; options: { uid?: number; gid?: number } };
}

export function postgresUser(): PostgresUser {
  if (process.getuid?.() !== 0) {
    return { owner: undefined, command: (program, args) => ({ command: program, args, options: {} }) };
  }
  const owner = unprivilegedUser();
  return {
    owner,
    command(program, args, directory) {
      const closed = [program, dirname(directory)].find((path) => !mayPass(path, owner));
      return closed === undefined
        ? { command: program, args, options: owner }
        : { command: 'setpriv', args: [...throughClosedFolders(owner, closed), program, ...args], options: {} };
    },
  };
}

function unprivilegedUser(): User {
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

/** Whether that user may run the program, or enter the folder. Asked of the system: modes alone leave out access lists. */
function mayPass(path: string, user: User): boolean {
  return spawnSync('test', ['-x', path], user).status === 0;
}

/**
 * A clone in /root is closed to every other user. Postgres then keeps one right of root: to look through closed folders.
 * Containers often have only the wider one of the two capabilities that give it.
 * `no_setuid_fixup`: else access(2), by which Postgres finds its own programs, ignores that right.
 */
function throughClosedFolders({ uid, gid }: User, closed: string): string[] {
  for (const right of ['dac_read_search', 'dac_override']) {
    const sets = ['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+${right}`);
    const options = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup', ...sets];
    if (spawnSync('setpriv', [...options, '--', 'test', '-x', closed]).status === 0) return [...options, '--'];
  }
  throw new Error(
    `Postgres does not run as root, and no other user may use ${closed}; open the folders above it (chmod o+x), work elsewhere, or set DATABASE_URL`,
  );
}
