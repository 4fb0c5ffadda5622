import type { Git } from './git.ts';
import { type Answer, runGit, type StreamCommand, streamGit, type WholeCommand } from './run.ts';
import { type GitCommand, type RunningGit, startGit } from './process.ts';

/** A bare repository on disk, to be read. */
export interface Clone {
  readonly git: Git;
  /** An absolute path. */
  readonly directory: string;
  /** Breaks off whatever is done with it. */
  readonly signal?: AbortSignal | undefined;
  /** For each single command. */
  readonly timeoutMs?: number;
}

type Own = 'gitDirectory' | 'signal';

/** Runs git in the clone; see `runGit`. */
export async function runIn(
  clone: Clone,
  args: readonly string[],
  command: Omit<WholeCommand, Own | 'args'> = {},
): Promise<Answer> {
  return runGit(clone.git, { ...command, args, ...own(clone) });
}

/** Streams what git prints in the clone; see `streamGit`. */
export function streamIn(
  clone: Clone,
  args: readonly string[],
  command: Omit<StreamCommand, Own | 'args'> = {},
): AsyncGenerator<Buffer> {
  return streamGit(clone.git, { ...command, args, ...own(clone) });
}

/** Starts git in the clone; see `startGit`. */
export function startIn(
  clone: Clone,
  args: readonly string[],
  command: Omit<GitCommand, Own | 'args'> = {},
): RunningGit {
  return startGit(clone.git, { ...command, args, ...own(clone) });
}

function own({ directory, signal, timeoutMs }: Clone): Pick<GitCommand, Own | 'timeoutMs'> {
  return { gitDirectory: directory, signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}
