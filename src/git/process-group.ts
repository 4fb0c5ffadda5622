// Between the polite signal, on which git takes its lock files away, and the other.
const PATIENCE_MS = 2_000;

/** A process that was started as the leader of its group, with all its children. */
export interface ProcessGroup {
  /** Asks them to end, and soon makes them. */
  end: () => void;
  /** To be told once it has ended: its number may be another's then. */
  isGone: () => void;
}

/** @param pid undefined where it could not be started */
export function processGroup(pid: number | undefined): ProcessGroup {
  let harder: NodeJS.Timeout | undefined;
  let gone = pid === undefined;
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (!gone && pid !== undefined) process.kill(-pid, signal);
    } catch {
      gone = true;
    }
  };
  return {
    end: () => {
      kill('SIGTERM');
      if (!gone) harder ??= setTimeout(kill, PATIENCE_MS, 'SIGKILL');
    },
    isGone: () => {
      gone = true;
      clearTimeout(harder);
    },
  };
}
