import { invalid } from './refusal.ts';

/**
 * How a subscription's first attempts go out. `workflow`: each delivery is a workflow of its own from the first attempt on.
 * `express`: in batches, and what does not get through at once becomes a workflow of its own then. `auto`: express while
 * many wait.
 */
export const LANES = ['workflow', 'express', 'auto'] as const;
export type Lane = (typeof LANES)[number];

export function checkLane(lane: string): Lane {
  const known = LANES.find((one) => one === lane);
  if (known === undefined) throw invalid('lane', `"${lane}" is not one of ${LANES.join(', ')}`);
  return known;
}
