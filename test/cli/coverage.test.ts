import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoverageReportEntry } from '../../src/client/coverage.ts';
import { finishReport } from '../../src/database/coverage-reports.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import type { AcceptedReport } from '../../src/domain/coverage-report.ts';
import { digestOf } from '../../src/ingress/tokens.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

const SHA = '0150dd59a3c1ec9b2d8d6b2a52a8d7c3c1f0e4b7';
const LCOV = 'SF:src/a.ts\nDA:1,1\nend_of_record\n';

let database: TestDatabase;
let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  database = await cloneDatabase();
  await upsertRepositories(database.db, [{ gitlabId: 7, path: 'acme/shop' }], { groupId: null, at: new Date() });
  const { id } = await database.db.selectFrom('repositories').select('id').executeTakeFirstOrThrow();
  await trackRepository(database.db, id);
  folder = mkdtempSync(join(tmpdir(), 'forgeflow-cli-'));
  env = { FORGEFLOW_HOME: folder, DATABASE_URL: database.url, SECRETS_KEY: Buffer.alloc(32).toString('base64') };
  writeFileSync(join(folder, 'lcov.info'), LCOV);
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

const submit = ['coverage', 'submit', '--repository', 'acme/shop', '--sha', SHA];
const list = ['coverage', 'list', '--repository', 'acme/shop'];
const tokenHash = async () =>
  (await database.db.selectFrom('repositories').select('token_hash').executeTakeFirstOrThrow()).token_hash;

// The order matters: each goes on from the state that the one before left.
describe('U5: forgeflow coverage', () => {
  test('list, while none has come, says how one does', async () => {
    const { exitCode, stdout } = await forgeflow(list, env);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^No reports have come; "forgeflow coverage submit" sends one/);
  });

  test('submit takes a file, which waits for its commit', async () => {
    const { exitCode, stdout, stderr } = await forgeflow([...submit, join(folder, 'lcov.info')], env);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^Held: report \d+ waits for the commit 0150dd59a3, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \(in 1 h 59 min\)\.$|^Held: .* \(in 2 h\)\.$/,
    );
  });

  test('submit from stdin takes the place of the one that waits; list has both, and why', async () => {
    const accepted = await forgeflowJson<AcceptedReport>([...submit, '-'], env, LCOV);
    expect(accepted).toMatchObject({ sha: SHA, state: 'held' });
    const reports = await forgeflowJson<CoverageReportEntry[]>(list, env);
    expect(reports).toMatchObject([
      { id: accepted.reportId, state: 'held', problem: null, sizeBytes: LCOV.length, heldUntil: accepted.heldUntil },
      { state: 'replaced', problem: 'a later report of the same commit came', heldUntil: null },
    ]);
    await finishReport(database.db, accepted.reportId, { state: 'dropped', problem: 'its commit did not come' });
    const { stdout } = await forgeflow([...list, '--limit', '1'], env);
    expect(stdout).toMatch(
      /^REPORT +COMMIT +SIZE +STATE +RECEIVED *\n\d+ +0150dd59a3 +\d+ B +dropped +\S+ \S+ \(.*ago\) +its commit did not come$/,
    );
  });

  test('repositories token makes one that is shown once, and takes it away', async () => {
    const { exitCode, stdout } = await forgeflow(['repositories', 'token', 'acme/shop'], env);
    expect(exitCode).toBe(0);
    const token = /^(ffr_[\w-]{43})$/m.exec(stdout)?.[1] ?? '';
    expect(await tokenHash()).toEqual(digestOf(token));
    const made = await forgeflowJson<{ token: string }>(['repositories', 'token', 'acme/shop'], env);
    expect(made).toEqual({ repository: 'acme/shop', token: expect.stringMatching(/^ffr_[\w-]{43}$/) as string });
    expect(await tokenHash()).toEqual(digestOf(made.token));
    expect(made.token).not.toBe(token);
    const revoked = await forgeflow(['repositories', 'token', 'acme/shop', '--revoke'], env);
    expect([revoked.stdout, await tokenHash()]).toEqual(['acme/shop has no token any more.', null]);
  });

  test.each<[string, string[], string, number, RegExp]>([
    ['of no report', [...submit, '-'], 'no report', 2, /^error: report: line 1: this is neither LCOV nor Cobertura$/],
    [
      'of no file',
      [...submit, 'nothing.xml'],
      '',
      2,
      /^error: report: the file "nothing.xml" cannot be read \(ENOENT\)$/,
    ],
    [
      'of no commit',
      ['coverage', 'submit', '--repository', 'acme/shop', '--sha', 'main', '-'],
      LCOV,
      2,
      /^error: sha: it is not the whole id of a commit, 40 hexadecimal digits$/,
    ],
    [
      'of a repository that is not tracked',
      ['coverage', 'submit', '--repository', 'acme/other', '--sha', SHA, '-'],
      LCOV,
      3,
      /^error: no repository "acme\/other" is tracked; "forgeflow repositories list" shows those that are$/,
    ],
    ['list of one that is not tracked', ['coverage', 'list', '--repository', 'acme/other'], '', 3, /is tracked; /],
    [
      'list with a bad limit',
      [...list, '--limit', 'all'],
      '',
      2,
      /^error: limit: it is a whole number from 1 to 1000$/,
    ],
    ['a token of one that is not tracked', ['repositories', 'token', 'acme/other'], '', 3, /is tracked; /],
  ])('bad input: %s', async (_, args, input, exitCode, message) => {
    const result = await forgeflow(args, env, input);
    expect([result.exitCode, result.stdout]).toEqual([exitCode, '']);
    expect(result.stderr).toMatch(message);
  });
});
