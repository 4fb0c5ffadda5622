let latest = 0;

/** The time in epoch microseconds, a whole number, later than all that this process was told before. */
export function timeOfUse(): number {
  latest = Math.max(Date.now() * 1000, latest + 1);
  return latest;
}
