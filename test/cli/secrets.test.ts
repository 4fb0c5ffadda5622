import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Secret } from '../../src/client/secrets.ts';
import { findSecrets } from '../../src/database/secrets.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

const KEY = randomBytes(32).toString('base64');
let database: TestDatabase;
let env: Record<string, string>;
let shop: number;

beforeAll(async () => {
  database = await cloneDatabase();
  const home = mkdtempSync(join(tmpdir(), 'forgeflow-cli-'));
  env = { DATABASE_URL: database.url, SECRETS_KEY: KEY, FORGEFLOW_HOME: home };
  const { rows } = await sql<{ id: number }>`
    insert into repositories (gitlab_id, path, last_seen_at, tracked_at) values (1, 'acme/shop', now(), now()) returning id
  `.execute(database.db);
  shop = rows[0]!.id;
});
afterAll(async () => {
  rmSync(env['FORGEFLOW_HOME'] ?? '', { recursive: true });
  await database.drop();
});

const run = (args: string[], input?: string) => forgeflow(['secrets', ...args], env, input);
const kept = async (name: string) =>
  createSealer(KEY).open((await findSecrets(database.db, shop, [name])).get(name) ?? Buffer.alloc(0));

// The order matters: each goes on from the state that the one before left.
describe('forgeflow secrets', () => {
  test('U4a: set keeps text, a file or stdin as it is, and shows none of it', async () => {
    const file = join(env['FORGEFLOW_HOME'] ?? '', 'npmrc');
    writeFileSync(file, '//registry/:_authToken=s3cret\n');
    const [text, fromFile, piped] = await Promise.all([
      forgeflowJson<Secret>(['secrets', 'set', 'TEXT', '--value', 'text-s3cret'], env),
      run(['set', 'NPM_RC', '--repository', 'acme/shop', '--value', `@${file}`]),
      run(['set', 'PIPED', '--value', '-'], 'two\nlines-s3cret\n'),
    ]);
    expect(text).toEqual({ name: 'TEXT', repository: null, updatedAt: expect.any(String) as string });
    expect(fromFile).toEqual({ exitCode: 0, stdout: 'Kept NPM_RC for acme/shop.', stderr: '' });
    expect(piped).toEqual({ exitCode: 0, stdout: 'Kept PIPED for all repositories.', stderr: '' });
    expect([await kept('TEXT'), await kept('NPM_RC'), await kept('PIPED')]).toEqual([
      'text-s3cret',
      '//registry/:_authToken=s3cret\n',
      'two\nlines-s3cret\n',
    ]);
  });

  test('U4a: list is a table, or a list as JSON, of names alone', async () => {
    const { stdout } = await run(['list']);
    expect(stdout).toMatch(/^NAME +REPOSITORY +UPDATED\nPIPED +all +\d{4}-.*\nTEXT +all .*\nNPM_RC +acme\/shop /);
    const listed = await forgeflowJson<Secret[]>(['secrets', 'list'], env);
    expect(listed.map(({ name, repository }) => [name, repository])).toEqual([
      ['PIPED', null],
      ['TEXT', null],
      ['NPM_RC', 'acme/shop'],
    ]);
    expect(stdout + JSON.stringify(listed)).not.toContain('s3cret');
  });

  test('U4a: delete takes one away', async () => {
    expect(await forgeflowJson(['secrets', 'delete', 'NPM_RC', '--repository', 'acme/shop'], env)).toEqual({
      name: 'NPM_RC',
      repository: 'acme/shop',
      deleted: true,
    });
  });

  test.each<[string, string[], number, RegExp]>([
    ['delete of one that is gone', ['delete', 'NPM_RC'], 3, /^error: there is no secret "NPM_RC" for all repositories/],
    ['set without a value', ['set', 'A'], 2, /required option '--value <text>'/],
    [
      'set of a file that is not there',
      ['set', 'A', '--value', '@/no/such'],
      2,
      /^error: value: the file "\/no\/such" cannot be read \(ENOENT\)$/,
    ],
    ['set of a short value', ['set', 'A', '--value', 'x'], 2, /^error: value: it has fewer than 4 characters/],
    [
      'set for one that is not tracked',
      ['set', 'A', '--value', 'a value', '--repository', 'a/b'],
      3,
      /^error: no repository "a\/b" is tracked/,
    ],
  ])('U4a, bad input: %s', async (_, args, exitCode, message) => {
    const result = await run(args);
    expect([result.exitCode, result.stdout]).toEqual([exitCode, '']);
    expect(result.stderr).toMatch(message);
  });
});
