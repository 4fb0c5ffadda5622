import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { loadConfig } from '../../src/config.ts';
import { findSecrets } from '../../src/database/secrets.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

const KEY = randomBytes(32).toString('base64');
const sealer = createSealer(KEY);
let database: TestDatabase;
let client: ForgeflowClient;
let shop: number;

beforeAll(async () => {
  database = await cloneDatabase();
  client = await ForgeflowClient.connect(loadConfig({ DATABASE_URL: database.url, SECRETS_KEY: KEY }, tmpdir()));
  const { rows } = await sql<{ id: number }>`
    insert into repositories (gitlab_id, path, last_seen_at, tracked_at)
    values (1, 'acme/shop', now(), now()), (2, 'acme/till', now(), now()) returning id
  `.execute(database.db);
  shop = rows[0]!.id;
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

const opened = async (repositoryId: number, ...names: string[]) =>
  Object.fromEntries(
    [...(await findSecrets(database.db, repositoryId, names))].map(([name, sealed]) => [name, sealer.open(sealed)]),
  );

describe('secrets', () => {
  test("U4a: a repository's own goes before that of all, and one that is set anew takes the place of the one before", async () => {
    await client.secrets.set('NPM', 'of all');
    await client.secrets.set('NETRC', 'machine\n');
    await client.secrets.set('NPM', 'of the shop, once', { repository: 'acme/shop' });
    expect(await client.secrets.set('NPM', 'of the shop', { repository: '/ACME/shop/' })).toEqual({
      name: 'NPM',
      repository: 'acme/shop',
      updatedAt: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
    expect(await opened(shop, 'NPM', 'NETRC', 'OTHER')).toEqual({ NPM: 'of the shop', NETRC: 'machine\n' });
    expect(await opened(shop + 1, 'NPM')).toEqual({ NPM: 'of all' });
    expect((await client.secrets.list()).map(({ name, repository }) => [name, repository])).toEqual([
      ['NETRC', null],
      ['NPM', null],
      ['NPM', 'acme/shop'],
    ]);
  });

  test('U4a: the database has them only sealed, and nothing that the client gives has them', async () => {
    const { rows } = await sql<{ row: string }>`select secrets::text as row from secrets`.execute(database.db);
    for (const text of [...rows.map(({ row }) => row), JSON.stringify(await client.secrets.list())]) {
      expect(text).not.toContain('of the shop');
      expect(text).not.toContain(Buffer.from('of the shop').toString('hex'));
    }
  });

  test('U4a: deleting takes that one alone', async () => {
    await client.secrets.delete('NPM', { repository: 'acme/shop' });
    expect(await opened(shop, 'NPM')).toEqual({ NPM: 'of all' });
    await client.secrets.delete('NPM');
    expect(await opened(shop, 'NPM')).toEqual({});
    await expect(client.secrets.delete('NPM')).rejects.toMatchObject({
      kind: 'not_found',
      message: 'there is no secret "NPM" for all repositories; "secrets list" shows those there are',
    });
  });

  test('U4a: of a repository that nobody tracks there can be none', async () => {
    await untrackRepository(database.db, shop + 1);
    await expect(client.secrets.set('NPM', 'a value', { repository: 'acme/till' })).rejects.toMatchObject({
      kind: 'not_found',
      field: 'repository',
    });
  });

  test.each<[what: string, name: string, value: string, message: RegExp]>([
    ['a name with a space', 'A B', 'value', /^name: a secret is named by letters/],
    ['a name that is too long', 'A'.repeat(65), 'value', /^name: /],
    ['a short value', 'A', ' abc\n', /^value: it has fewer than 4 characters, too few to be concealed/],
    ['a large value', 'A', 'é'.repeat(25_000), /^value: it is 50000 bytes long; 49152 \(48 KiB\) at most$/],
    ['many lines', 'A', 'line\n'.repeat(1_001), /^value: it has more than 1000 lines$/],
    ['half a character', 'A', 'abc\ud800', /^value: it is not text in UTF-8$/],
  ])('U4a, bad input: %s', async (_, name, value, message) => {
    const refusal = { kind: 'invalid', message: expect.stringMatching(message) as string };
    await expect(client.secrets.set(name, value)).rejects.toMatchObject(refusal);
  });
});
