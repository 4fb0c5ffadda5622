import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { type Config, ConfigError, required } from '../src/config.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { findTracked, listTracked, recordClone } from '../src/database/tracked-repositories.ts';
import type { Clone } from '../src/git/clone.ts';
import { Clones } from '../src/git/clones.ts';
import type { Remote } from '../src/git/credentials.ts';
import { GitError } from '../src/git/git-error.ts';
import { createGit, gitAt } from '../src/git/git.ts';

/** A tracked repository: our id, and its path in GitLab. */
export interface ClonedRepository {
  id: number;
  path: string;
}

/** The clones of this machine, brought up to date before they are used. */
export interface JobClones {
  /**
   * Does the work with the clone as GitLab has it now; where the clone turns out to be broken, once more with a fresh one.
   * @throws NotTracked where the repository was removed meanwhile; no clone is left then
   * @throws GitError, ConfigError that names the setting, and what the work throws
   */
  use<T>(repository: ClonedRepository, work: (clone: Clone) => Promise<T>, signal: AbortSignal): Promise<T>;
  /**
   * Takes away the clones of repositories that are not tracked: where several machines have clones, one that is removed goes
   * at once only from one of them.
   * @returns how many @throws GitError
   */
  sweep(): Promise<number>;
  /** Takes the clone of a repository away; nothing happens where there is none. @throws GitError */
  remove(id: number): Promise<void>;
}

export function createJobClones(config: Config, db: ForgeflowDatabase): JobClones {
  const options = { path: config.programPath, caFile: config.gitCaFile };
  /** One for the process: those who want the same repository share a fetch. */
  const clones = new Clones(gitAt(options), config.storageDirectory);
  let checking: Promise<unknown> | undefined;

  /** Git is looked for when it is first needed: a worker without it serves everything else. */
  async function checkGit(): Promise<void> {
    checking ??= createGit(options);
    await checking.catch((error: unknown) => {
      checking = undefined; // whoever installs it need not restart the worker
      throw error;
    });
  }

  async function isRemoved(id: number): Promise<boolean> {
    // Where the database is away too, the fault that is known already counts.
    return findTracked(db, id).then(
      (found) => found === undefined,
      () => false,
    );
  }

  return {
    async use({ id, path }, work, signal) {
      const remote = await remoteOf(config, path);
      await checkGit();
      const recorded = async (clone: Clone) => {
        if (!(await recordClone(db, id, await clones.sizeBytes(id)))) throw new NotTracked(path);
        return work(clone);
      };
      try {
        return await clones.use(id, remote, recorded, { signal });
      } catch (error) {
        if (!(error instanceof NotTracked) && !(await isRemoved(id))) throw error;
        // Whoever removed the repository has removed its clone too, before it was made anew here, or half of it.
        await clones.remove(id);
        throw new NotTracked(path);
      }
    },
    async sweep() {
      // In this order: a clone that comes to be later is none of those, and one that is there belongs to who is tracked.
      const ids = await clones.ids();
      const tracked = new Set((await listTracked(db)).map(({ id }) => id));
      const strays = ids.filter((id) => !tracked.has(id));
      for (const id of strays) await clones.remove(id);
      return strays.length;
    },
    async remove(id) {
      await clones.remove(id);
    },
  };
}

/** The repository was removed while its clone was in use, or brought up to date. */
export class NotTracked extends GitError {
  constructor(path: string) {
    super('not_found', `${path} is not tracked any more`);
  }
}

/** @throws ConfigError that names the setting */
async function remoteOf(config: Config, path: string): Promise<Remote> {
  const gitlabUrl = required('GITLAB_URL', config.gitlabUrl, 'it is not set, so there is nothing to clone from');
  const token = required('GITLAB_TOKEN', config.gitlabToken, 'it is not set; git needs it to clone');
  const url = new URL(gitlabUrl);
  const allowHttp = url.protocol === 'http:' && (await isInNetworks(url.hostname, config.deliveryAllowedNetworks));
  if (url.protocol === 'http:' && !allowHttp) {
    throw new ConfigError(
      'GITLAB_URL',
      'git would show its token to all on the way of plain HTTP; use https, or name its network in DELIVERY_ALLOWED_NETWORKS',
    );
  }
  return { url: `${gitlabUrl}/${path.split('/').map(encodeURIComponent).join('/')}.git`, token, allowHttp };
}

/** Whether all addresses of that host lie in networks that somebody has opened. */
async function isInNetworks(host: string, networks: readonly string[]): Promise<boolean> {
  const open = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) open.addAddress(address, family);
    else open.addSubnet(address, Number(bits), family);
  }
  const name = host.replace(/^\[|\]$/g, '');
  const addresses = isIP(name) === 0 ? await lookup(name, { all: true }) : [{ address: name, family: isIP(name) }];
  return addresses.every(({ address, family }) => open.check(address, family === 6 ? 'ipv6' : 'ipv4'));
}
