import { randomBytes } from 'node:crypto';
import type { Code } from './code.ts';
import { mergeRequestEvent, pushEvent } from './change-events.ts';
import type { Delivery, Surroundings } from './deliver.ts';
import { emit } from './events.ts';
import { git } from './git-process.ts';
import type { Project, User } from './places.ts';
import type { World } from './world.ts';

export interface Push {
  /** The default branch when absent. */
  branch?: string;
  /** The commit that it is at now; null: it is deleted. When absent, what it is at in the repository, or anything where there is none. */
  to?: string | null;
  user?: User;
}

export interface NewCommit {
  /** The default branch when absent. */
  branch?: string;
  /** What the branch begins at where there is none yet: another branch, or a commit. The default branch when absent. */
  from?: string;
  /** By path; null: it is removed. */
  files: Record<string, string | null>;
  message?: string;
  user?: User;
}

/** What people do to repositories. */
export interface CodeChanges {
  /** Serves a bare repository at `<url>/<path>.git`, to all who may read the code. */
  serveGit(project: Project, directory: string): void;
  /** A branch was pushed: hooks are told, and so is every open merge request of it, whose head this is from now on. */
  push(project: Project, push?: Push): Promise<Delivery[]>;
  /** Makes a commit in a repository that is served, and pushes it. @returns its hash */
  commit(project: Project, commit: NewCommit): Promise<string>;
}

export const madeUpHash = (): string => randomBytes(20).toString('hex');
export const headRef = (iid: number): string => `refs/merge-requests/${iid}/head`;

export function createCodeChanges(world: World, within: Surroundings): CodeChanges {
  return {
    serveGit(project, directory) {
      world.codeOf(project).directory = directory;
    },
    push,
    async commit(project, { branch = project.defaultBranch, ...commit }) {
      const code = world.codeOf(project);
      const sha = await makeCommit(code, branch, { from: project.defaultBranch, ...commit });
      await push(project, { branch, to: sha, ...(commit.user && { user: commit.user }) });
      return sha;
    },
  };

  async function push(project: Project, { branch = project.defaultBranch, to, user = world.someone() }: Push = {}) {
    const code = world.codeOf(project);
    const after = to !== undefined ? to : code.directory === null ? madeUpHash() : await code.head(branch);
    const before = code.announced.get(branch) ?? null;
    await code.moveBranch(branch, after);
    if (after === null) code.announced.delete(branch);
    else code.announced.set(branch, after);
    const payload = pushEvent(project, { branch, before, after, user }, within);
    const told = await emit(project, { flag: 'push_events', payload }, within);
    return after === null ? told : [...told, ...(await moveHeads(project, branch, after, user))];
  }

  async function moveHeads(source: Project, branch: string, head: string, user: User): Promise<Delivery[]> {
    const told: Delivery[] = [];
    for (const [project, code] of world.allCode()) {
      for (const mergeRequest of code.mergeRequests) {
        const isOfBranch = mergeRequest.source === source && mergeRequest.sourceBranch === branch;
        const oldrev = mergeRequest.headSha;
        if (!isOfBranch || mergeRequest.state !== 'opened' || oldrev === head) continue;
        await code.keepHead(headRef(mergeRequest.iid), head, world.codeOf(source));
        mergeRequest.headSha = head;
        mergeRequest.updatedAt = within.clock.now();
        if (project.resetApprovalsOnPush) mergeRequest.approvals.clear();
        const happening = { user, action: 'update', ...(oldrev !== null && { oldrev }) };
        const payload = mergeRequestEvent(mergeRequest, happening, within);
        told.push(...(await emit(project, { flag: 'merge_requests_events', payload }, within)));
      }
    }
    return told;
  }
}

async function makeCommit(
  code: Code,
  branch: string,
  { from, files, message = 'change' }: Required<Pick<NewCommit, 'from' | 'files'>> & Pick<NewCommit, 'message'>,
): Promise<string> {
  const { directory } = code;
  if (directory === null) throw new Error('the project has no repository that is served');
  const parent = (await code.head(branch)) ?? (await code.head(from)) ?? ((await code.hasCommit(from)) ? from : null);
  const ref = `refs/heads/${branch}`;
  const who = `Ada <ada@example.com> ${Math.floor(Date.now() / 1000)} +0000`;
  const changes = Object.entries(files).map(([path, content]) =>
    content === null ? `D ${JSON.stringify(path)}\n` : `M 100644 inline ${JSON.stringify(path)}\n${data(content)}`,
  );
  const parents = parent === null ? '' : `from ${parent}\n`;
  const head = `reset ${ref}\ncommit ${ref}\nauthor ${who}\ncommitter ${who}\n${data(message)}${parents}`;
  await git(directory, ['fast-import', '--quiet', '--force'], `${head}${changes.join('')}\n`);
  return (await code.head(branch))!;
}

const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`;
