/** What a job's handler is given besides the payload. */
export interface JobContext {
  /** Aborts when nobody waits for this attempt any more: the worker stops, or the job was cancelled. */
  signal: AbortSignal;
  /** By Temporal's clock, when this attempt was to begin: what a job waits for is counted in it. Epoch ms. */
  now: number;
}

type Fact = string | number | boolean | null;

/** A job that was done. It is the result of the workflow, so it holds ids and numbers, no content. */
export interface JobDone {
  /** One short sentence on what came of it, for the Web UI. */
  summary: string;
  [fact: string]: Fact;
}

/** A job that cannot go on before then, through no fault of its own, as while GitLab's rate limit is used up. It is no failed attempt. */
export interface JobPostponed {
  /** ISO 8601. */
  postponedUntil: string;
  /** One short sentence. */
  reason: string;
  /** Whoever asks for it again meanwhile ends the wait: it is for something that they know has come. */
  wakesWhenAsked?: boolean;
}

export type JobOutcome = JobDone | JobPostponed;
