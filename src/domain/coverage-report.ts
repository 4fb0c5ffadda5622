/** `replaced` by a later one of the same commit; `dropped` since its commit did not come; `failed` at what it says. */
export const REPORT_STATES = ['held', 'processed', 'replaced', 'dropped', 'failed'] as const;
export type ReportState = (typeof REPORT_STATES)[number];

/** How long a report waits for its commit. */
export const REPORT_HOLD_MS = 2 * 60 * 60_000;
