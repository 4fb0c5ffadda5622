import { createLogger } from '../../src/logging.ts';
import { installRuntime } from '../../src/temporal/worker.ts';

let installed = false;

/** Temporal's runtime, of which a process has one. */
export function ensureRuntime(): void {
  if (!installed) installRuntime(createLogger('error'), undefined);
  installed = true;
}
