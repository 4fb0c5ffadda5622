/** The largest report that is taken, in bytes. */
export const COVERAGE_LIMIT = 50 * 1024 * 1024;

export interface LineTotals {
  /** Lines that ran at least once. */
  covered: number;
  /** Lines that could have run. */
  total: number;
}

export interface FileTotals extends LineTotals {
  /** From the root of the repository, with `/` between folders; as the report has it where it is not in there. */
  path: string;
}

/** What a report says of one file. */
export interface FileCoverage extends FileTotals {
  /** How often each line ran, by its number from 1; in order. Lines that cannot run are not here. */
  lines: ReadonlyMap<number, number>;
}

export interface CoverageVerdict {
  /** From 0 to 100, not rounded. */
  percent: number;
  isEnough: boolean;
  /** For the commit status and for people. */
  text: string;
}

export function totalsOf(files: Iterable<LineTotals>): LineTotals {
  const sum = { covered: 0, total: 0 };
  for (const { covered, total } of files) {
    sum.covered += covered;
    sum.total += total;
  }
  return sum;
}

/** From 0 to 100, not rounded; 0 where there are no lines. */
export function percentOf({ covered, total }: LineTotals): number {
  return total === 0 ? 0 : (100 * covered) / total;
}

/**
 * Whether the lines are covered enough, and what to say of it: `94.29% covered`, with what is required added where they are not.
 * @param minPercent from 0 to 100; null: nothing is required
 */
export function judgeCoverage(totals: LineTotals, minPercent: number | null): CoverageVerdict {
  const isEnough = minPercent === null || reaches(totals, minPercent);
  const percent = percentOf(totals);
  const text = `${shownPercent(totals, isEnough ? null : minPercent)}% covered`;
  return { percent, isEnough, text: isEnough ? text : `${text} (at least ${minPercent}% is required)` };
}

const DECIMALS = 10;

/** By whole numbers: 9,429 of 10,000 lines are 94.29%, which a product of floating-point numbers may miss by a hair. */
function reaches({ covered, total }: LineTotals, minPercent: number): boolean {
  if (total === 0) return minPercent <= 0;
  const required = BigInt(minPercent.toFixed(DECIMALS).replace('.', ''));
  return BigInt(covered) * 100n * 10n ** BigInt(DECIMALS) >= required * BigInt(total);
}

/**
 * To two decimals, without zeros at the end. Rounded to the nearest, but down where the figure would claim what is not so:
 * that all is covered, or as much as the requirement that was missed (94.999 is 94.99 where 95 is required).
 */
function shownPercent(totals: LineTotals, missed: number | null): string {
  const percent = percentOf(totals);
  const rounded = Math.round(percent * 100) / 100;
  const claimsTooMuch = (rounded === 100 && percent < 100) || (missed !== null && rounded >= missed);
  return String(claimsTooMuch ? Math.floor(percent * 100) / 100 : rounded);
}
