import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for the data and logs of a run. */
export interface Home {
  path: string;
  /** Whether anybody will want to read the logs. */
  isWorthKeeping: boolean;
  /** Removes the data, and the logs too where nobody will read them. */
  clear(): void;
}

export function makeHome(prefix: string): Home {
  const path = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(path, 0o711); // Postgres may run as another user, who has to come through
  return {
    path,
    isWorthKeeping: true,
    clear() {
      const isNeeded = (name: string): boolean => this.isWorthKeeping && name.endsWith('.log');
      for (const name of readdirSync(path)) {
        if (!isNeeded(name)) rmSync(join(path, name), { recursive: true, force: true });
      }
      if (!this.isWorthKeeping) rmSync(path, { recursive: true, force: true });
    },
  };
}
