import type { GitlabAddress } from './install-gitlab.ts';
import { type Program, startProgram } from './program.ts';

export interface BareLoopSettings extends GitlabAddress {
  /** Repositories that are worked on at once. */
  concurrency: number;
  ingressUrl: string;
}

/** Each says for how many repositories it was done. */
export interface BareLoopAnswers {
  /** For those for which it was not done before. */
  install: number;
  verify: number;
}

/**
 * What the installer asks of GitLab, by the same client, in the same order, as many at once, and nothing else: no Temporal,
 * no Postgres, nothing kept, nothing decided.
 */
export type BareLoop = Program<BareLoopAnswers>;

export function startBareLoop(settings: BareLoopSettings): Promise<BareLoop> {
  return startProgram('install-bare-loop-program.ts', settings);
}
