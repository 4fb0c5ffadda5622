import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';

/** What `forgeflow dev` leaves in its home while it runs, so that other commands find it without settings. */
const running = z.object({
  pid: z.number(),
  databaseUrl: z.string(),
  temporalAddress: z.string(),
  webUiUrl: z.string().nullable(),
  secretsKey: z.string(),
  ingressUrl: z.string(),
  ingressToken: z.string(),
});
export type RunningServices = z.infer<typeof running>;
export function runningServicesFile(home: string): string {
  return resolve(home, 'running.json');
}

/** The services of a `forgeflow dev` that is alive, or undefined. */
export function readRunningServices(home: string): RunningServices | undefined {
  const file = runningServicesFile(home);
  if (!existsSync(file)) return undefined;
  const parsed = running.safeParse(parseJson(readFileSync(file, 'utf8')));
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : undefined;
}

/** Undefined for what is not JSON: a half-written file means nothing, and a SyntaxError would quote the key in it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
