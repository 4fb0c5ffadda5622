import { isSuccess, type Outcome } from '../domain/outcome.ts';

export const ATTEMPT_RESULTS = ['delivered', 'bad_response', 'connection_error'] as const;
/** What an attempt came to, as the label `outcome` of its metrics. */
export type AttemptResult = (typeof ATTEMPT_RESULTS)[number];

export function attemptResult(outcome: Outcome): AttemptResult {
  if (outcome.kind === 'connection_error') return 'connection_error';
  return isSuccess(outcome) ? 'delivered' : 'bad_response';
}
