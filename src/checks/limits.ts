/** What one check may use. Each of them at least 1. */
export interface CheckLimits {
  /** From its start to its end. */
  timeMs: number;
  /** Between the polite signal and the other. */
  graceMs: number;
  /** Processor time of each of its processes. */
  cpuSeconds: number;
  /** What it prints, to both streams together. */
  outputBytes: number;
  /** What it reports. */
  resultBytes: number;
  /** Memory of all its processes together. */
  memoryBytes: number;
  /** Processes at one time. */
  processes: number;
  /** What it may write beside what was checked out. */
  diskBytes: number;
  /** Each of its files. */
  fileBytes: number;
  /** Each of its processes. */
  openFiles: number;
  /** Problems that are taken of what it reports. */
  problems: number;
}

const MIB = 1024 * 1024;

export const CHECK_LIMITS: CheckLimits = {
  timeMs: 10 * 60_000,
  graceMs: 2_000,
  cpuSeconds: 20 * 60,
  outputBytes: 10 * MIB,
  resultBytes: 10 * MIB,
  memoryBytes: 2_048 * MIB,
  processes: 256,
  diskBytes: 1_024 * MIB,
  fileBytes: 512 * MIB,
  openFiles: 1_024,
  problems: 10_000,
};
