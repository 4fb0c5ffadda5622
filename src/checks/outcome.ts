import type { Problem } from '../domain/sarif.ts';

export type CheckFailure =
  /** It cannot even be started as it is written. */
  | 'invalid_command'
  | 'timeout'
  | 'output_limit'
  | 'memory_limit'
  | 'process_limit'
  | 'disk_limit'
  | 'cpu_limit'
  | 'signal'
  | 'exit_code'
  | 'malformed_result';

export interface FailedCheck {
  kind: 'failed';
  failure: CheckFailure;
  /** A sentence without its subject: `was not done within 600 s`. */
  reason: string;
  /** The last that it printed, without secrets; may be empty. */
  printed: string;
}

export interface CompletedCheck {
  kind: 'completed';
  problems: Problem[];
  /** How many more it reported than are taken. */
  omitted: number;
}

/** What became of a check. Whatever the plugin does, it is said here and not thrown. */
export type CheckOutcome = CompletedCheck | FailedCheck;
