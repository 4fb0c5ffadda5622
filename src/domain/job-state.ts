/** `dead`: it has failed for good, and can be run again by hand. */
export const JOB_STATES = ['running', 'completed', 'dead', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];
