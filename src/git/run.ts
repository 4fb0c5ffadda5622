import type { Git } from './git.ts';
import { explain, GitError } from './git-error.ts';
import { type Ending, type GitCommand, startGit } from './process.ts';

export interface Acceptance {
  /** Exit codes that are answers; 0 alone when left out. */
  accept?: readonly number[];
  /** What an error must not repeat. */
  secrets?: readonly string[];
}

export interface WholeCommand extends GitCommand, Acceptance {
  /** What it reads from stdin. */
  input?: string | Buffer;
  stdoutLimitBytes?: number;
}

export interface Answer {
  exitCode: number;
  stdout: Buffer;
  stderr: string;
}

const TIMEOUT_MS = 10 * 60_000;
const STDOUT_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Runs git to its end, which has to come within ten minutes where nothing else is said.
 * @throws GitError by what it printed, where its exit code is no answer; `failed` when it prints more than the limit
 * @throws the signal's reason once it aborts
 */
export async function runGit(git: Git, command: WholeCommand): Promise<Answer> {
  const { input, stdoutLimitBytes = STDOUT_LIMIT_BYTES } = command;
  const running = startGit(git, { timeoutMs: TIMEOUT_MS, ...command, hasInput: input !== undefined });
  running.stdin?.end(input);
  const chunks: Buffer[] = [];
  let length = 0;
  running.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= stdoutLimitBytes) chunks.push(chunk);
    else running.end();
  });
  const ending = await running.ended;
  if (length > stdoutLimitBytes) {
    throw new GitError('failed', `git ${command.args[0] ?? ''} printed more than ${stdoutLimitBytes} bytes`);
  }
  return { ...ending, exitCode: accepted(command, ending), stdout: Buffer.concat(chunks) };
}

export interface StreamCommand extends GitCommand, Acceptance {
  /** Told when all was read. */
  onExit?: (exitCode: number) => void;
}

/**
 * What git prints, as it comes; read slowly, git waits. Whoever stops reading ends git.
 * @throws as `runGit` does, when all was read
 */
export async function* streamGit(git: Git, command: StreamCommand): AsyncGenerator<Buffer> {
  const running = startGit(git, command);
  try {
    for await (const chunk of running.stdout) yield chunk as Buffer;
    const exitCode = accepted(command, await running.ended);
    command.onExit?.(exitCode);
  } finally {
    running.end();
  }
}

/** @throws GitError where git's exit code is none of those that are answers */
export function accepted(
  { args, accept = [0], secrets = [] }: Acceptance & { args: readonly string[] },
  { exitCode, stderr }: Ending,
): number {
  if (exitCode === null || !accept.includes(exitCode)) {
    throw explain({ command: args[0] ?? '', exitCode, stderr, secrets });
  }
  return exitCode;
}
