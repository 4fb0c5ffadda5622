import type { MergeRequest } from './merge-request.ts';
import type { Pipeline } from './pipelines.ts';
import type { Project } from './places.ts';
import { git, tryGit } from './git-process.ts';

/** What a project has besides its place: its repository, and what hangs on that. */
export class Code {
  /** A bare repository that is served; null: only names and hashes are kept. */
  directory: string | null = null;
  readonly mergeRequests: MergeRequest[] = [];
  readonly pipelines: Pipeline[] = [];
  /** Those that are deleted included, whose numbers are not given again. */
  mergeRequestCount = 0;
  /** What each branch was at when hooks were last told of it. */
  readonly announced = new Map<string, string>();
  /** Where there is no repository: what its branches are, and what commits there are. */
  readonly #branches = new Map<string, string>();
  readonly #commits = new Set<string>();

  /** That project is gone, and with it the heads that were in it. */
  lose(project: Project): void {
    for (const mergeRequest of this.mergeRequests) if (mergeRequest.source === project) mergeRequest.source = null;
  }

  async head(branch: string): Promise<string | null> {
    if (this.directory === null) return this.#branches.get(branch) ?? null;
    return (await tryGit(this.directory, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`])) ?? null;
  }

  /** @param to null: it is deleted */
  async moveBranch(branch: string, to: string | null): Promise<void> {
    if (this.directory !== null) await this.#setRef(`refs/heads/${branch}`, to);
    else if (to === null) this.#branches.delete(branch);
    else {
      this.#branches.set(branch, to);
      this.#commits.add(to);
    }
  }

  async hasCommit(sha: string): Promise<boolean> {
    if (this.directory === null) return this.#commits.has(sha);
    if (!/^[0-9a-f]{7,64}$/.test(sha)) return false;
    return (await tryGit(this.directory, ['cat-file', '-e', `${sha}^{commit}`])) !== undefined;
  }

  /**
   * What GitLab keeps of a merge request's head in the project that it goes into, from wherever the head is.
   * @param ref such as `refs/merge-requests/7/head`
   */
  async keepHead(ref: string, sha: string, from: Code): Promise<void> {
    if (this.directory === null) {
      this.#commits.add(sha);
      return;
    }
    if (from !== this && from.directory !== null && !(await this.hasCommit(sha))) {
      await git(this.directory, ['fetch', '--quiet', '--no-tags', from.directory, sha]);
    }
    await this.#setRef(ref, sha);
  }

  async #setRef(ref: string, to: string | null): Promise<void> {
    if (this.directory === null) return;
    await git(this.directory, to === null ? ['update-ref', '-d', ref] : ['update-ref', ref, to]);
  }
}
