import { type Program, startProgram } from './program.ts';

export interface GitlabSize {
  repositories: number;
  /** More of them, to warm up with. */
  warmUp: number;
  /** How long every answer takes at least. */
  latencyMs: number;
}

export interface GitlabAddress {
  url: string;
  token: string;
}

export interface BenchGitlabAnswers {
  address: GitlabAddress;
  /** Adds the repositories; until then there are only those to warm up with. */
  grow: null;
  /** How many there were since it was last asked. */
  requests: number;
  /** How many repositories have exactly one hook, those to warm up with too. */
  withOneHook: number;
}

/** GitLab's stand-in. Its repositories have no hooks at first. */
export type BenchGitlab = Program<BenchGitlabAnswers>;

export function startBenchGitlab(size: GitlabSize): Promise<BenchGitlab> {
  return startProgram('install-gitlab-program.ts', size);
}
