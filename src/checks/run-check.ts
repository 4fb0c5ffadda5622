import { writeFile } from 'node:fs/promises';
import { type CheckCommand, problemOfCommand } from './check-command.ts';
import type { CheckHost } from './check-host.ts';
import { type ChildEnding, startChild } from './child.ts';
import { type BreakOff, judge } from './judge.ts';
import { launchOf, type RunPlaces, startScript } from './launch.ts';
import { CHECK_LIMITS, type CheckLimits } from './limits.ts';
import type { CheckOutcome } from './outcome.ts';
import { removeFolder } from './remove-folder.ts';
import { makeRunFolder, type RunFolder, writeHomeFiles, writeSecrets } from './run-folder.ts';
import { endProcessesOf } from './run-processes.ts';
import { concealer } from './secret-words.ts';
import { watchUsage } from './usage-watch.ts';

export interface Check extends CheckCommand {
  /** Fills the folder that the check looks at, which is empty before and taken away afterwards. */
  checkOut: (folder: string) => Promise<unknown>;
  /** What is not said is as in `CHECK_LIMITS`. */
  limits?: Partial<CheckLimits>;
  /** Ends the check, and all that it has started. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs a check to its end, by whatever way that comes, and leaves no process and no file of it.
 * @throws the signal's reason once it aborts
 * @throws Error, and what the checkout throws, where our side fails; never for what the check does
 */
export async function runCheck(host: CheckHost, check: Check): Promise<CheckOutcome> {
  check.signal?.throwIfAborted();
  const wrong = problemOfCommand(check);
  if (wrong !== null) return { kind: 'failed', failure: 'invalid_command', reason: wrong, printed: '' };
  const limits = { ...CHECK_LIMITS, ...check.limits };
  const run = await makeRunFolder(host.root);
  const { places } = run;
  try {
    await check.checkOut(places.checkout);
    await writeSecrets(places, check.secrets ?? {});
    await writeHomeFiles(places, check.homeFiles ?? {});
    await writeFile(places.start, startScriptOf(host, check, run, limits), { mode: 0o600 });
    check.signal?.throwIfAborted();
    const ended = await runToEnd(host, check, run, limits);
    check.signal?.throwIfAborted();
    return await judge({ ...ended, places, limits, conceal: concealerOf(check) });
  } finally {
    await removeFolder(places.folder);
  }
}

function startScriptOf(host: CheckHost, check: Check, { places, marker }: RunFolder, limits: CheckLimits): string {
  const env = { HOME: places.home, TMPDIR: places.temporary, ...check.env, ...ownVariables(places) };
  return startScript(places, { env, limits, marker, processLimit: host.countsProcesses });
}

function ownVariables({ result, secrets }: RunPlaces): Record<string, string> {
  return { FORGEFLOW_RESULT: result, FORGEFLOW_SECRETS: secrets };
}

async function runToEnd(
  host: CheckHost,
  { command, signal }: Check,
  { places, marker }: RunFolder,
  limits: CheckLimits,
): Promise<{ brokenOff: BreakOff | null; ending: ChildEnding }> {
  const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
  let brokenOff: BreakOff | null = null;
  const breakOff = (reason: BreakOff): void => {
    brokenOff ??= reason;
    child.end();
  };
  const child = startChild(launchOf(host, { places, marker, argv }), {
    outputBytes: limits.outputBytes,
    graceMs: limits.graceMs,
    onFlood: () => {
      breakOff('output_limit');
    },
  });
  const timer = setTimeout(breakOff, limits.timeMs, 'timeout');
  signal?.addEventListener('abort', child.end, { once: true });
  const stopWatching = watchUsage({ marker, folder: places.folder, limits }, breakOff);
  try {
    await child.exited;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', child.end);
    await endProcessesOf(marker);
    await stopWatching();
  }
  return { brokenOff, ending: await child.ending() };
}

function concealerOf({ secrets = {}, homeFiles = {} }: Check): (text: string) => string {
  return concealer([...Object.values(secrets), ...Object.values(homeFiles)]);
}
