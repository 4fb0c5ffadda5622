const DAY_MS = 24 * 60 * 60 * 1_000;

/** Before when (epoch ms) what is over is deleted. Days are of 24 hours, in no time zone. */
export function retentionCutoff(now: number, days: number): number {
  return now - days * DAY_MS;
}
