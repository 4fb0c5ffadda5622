import { CommanderError } from 'commander';
import pc from 'picocolors';
import { ConfigError } from '../config.ts';
import { Refusal, type RefusalKind } from '../domain/refusal.ts';

const FAILED = 1;
const USAGE = 2;
const NOT_FOUND = 3;

const REFUSALS: Record<RefusalKind, number> = {
  invalid: USAGE,
  too_large: USAGE,
  not_found: NOT_FOUND,
  conflict: FAILED,
};

/** Says what went wrong in one sentence, with the stack only when asked for. @returns the exit code */
export function explain(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE; // commander has said it already
  process.stderr.write(`${pc.red('error:')} ${sentence(error)}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  if (error instanceof Refusal) return REFUSALS[error.kind];
  return error instanceof ConfigError ? USAGE : FAILED;
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return 'something unknown went wrong';
  const code = 'code' in error ? error.code : undefined;
  if (code === '42P01') return 'the database has no tables of forgeflow yet; run "forgeflow migrate"';
  if (code === 'ECONNREFUSED' || code === 'ENOTFOUND') return `DATABASE_URL: no Postgres answers there; is it running?`;
  if (code === '28P01') return 'DATABASE_URL: Postgres refuses the user or password';
  if (error.name === 'ServiceError') return 'TEMPORAL_ADDRESS: Temporal does not answer as it should; is it running?';
  return error.message || error.name;
}
