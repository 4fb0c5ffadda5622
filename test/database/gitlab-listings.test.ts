import { afterAll, beforeAll, expect, test } from 'vitest';
import { advanceListing, beginOrResumeListing, completeListing } from '../../src/database/gitlab-listings.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { at } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

test('G4: a listing that was broken off goes on where it stopped; one that was completed begins anew', async () => {
  const { db } = database;
  const begin = (minutes: number, scope = 'membership') => beginOrResumeListing(db, scope, at(minutes));
  expect(await begin(0)).toEqual({ cursor: null, startedAt: at(0) });
  expect(await begin(1)).toEqual({ cursor: null, startedAt: at(0) });
  await advanceListing(db, 'membership', 2 ** 40);
  expect(await begin(2)).toEqual({ cursor: 2 ** 40, startedAt: at(0) });
  expect(await begin(3, 'group/7')).toEqual({ cursor: null, startedAt: at(3) });
  await completeListing(db, 'membership', at(4));
  expect(await begin(5)).toEqual({ cursor: null, startedAt: at(5) });
  expect(await begin(6)).toEqual({ cursor: null, startedAt: at(5) });
  expect(await begin(7, 'group/7')).toEqual({ cursor: null, startedAt: at(3) });
});
