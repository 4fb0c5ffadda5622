import { execa } from 'execa';
import { FORGEFLOW } from '../support/worker-process.ts';

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Runs the command as a user does, in a process of its own, with these settings and no others. */
export async function forgeflow(args: string[], env: Record<string, string>, input = ''): Promise<CommandResult> {
  const result = await execa('node', [FORGEFLOW, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    extendEnv: false,
    input,
    reject: false,
    cwd: env['FORGEFLOW_HOME'] ?? '.',
  });
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}

/** The JSON document that a command printed. */
export async function forgeflowJson<T>(args: string[], env: Record<string, string>, input = ''): Promise<T> {
  const { exitCode, stdout, stderr } = await forgeflow([...args, '--json'], env, input);
  if (exitCode !== 0) throw new Error(`forgeflow ${args.join(' ')} ended with ${exitCode}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
