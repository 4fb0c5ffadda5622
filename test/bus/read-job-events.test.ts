import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readJobEvent } from '../../src/bus/read-job-events.ts';
import { writeDecision, writeMergeability } from '../../src/database/merge-request-results.ts';
import { findMergeRequest, listMergeRequests, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository, untrackRepository } from '../../src/database/tracked-repositories.ts';
import type { MergeRequest } from '../../src/domain/merge-request.ts';
import { hashOf, mergeRequestIn } from '../database/merge-request-rows.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import {
  jobEvent,
  MERGE_REQUEST_OF_PIPELINE,
  mergeRequestEvent,
  noteEvent,
  pipelineEvent,
} from '../support/gitlab-merge-requests.ts';
import { PUSH, TAG_PUSH } from '../support/gitlab-payloads.ts';
import { askedFor, type Payload, readEvents, storeEvents } from '../support/merge-events.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/** As in the documented payloads. */
const PROJECT = 15;
const FORK = 14;
const HEAD = 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7';
const NOTHING = '0'.repeat(40);
const EVENT_AT = Date.parse('2026-11-12T14:27:31Z');
const LATER = '2026-11-12T15:00:00Z';
const EARLIER = '2026-11-12T14:00:00Z';

let database: TestDatabase;
let repositoryId: number;
/** Our ids, by GitLab's numbers. */
const ids: Record<number, number> = {};
beforeAll(async () => {
  database = await cloneDatabase();
  const { db } = database;
  await upsertRepositories(db, [{ gitlabId: PROJECT, path: 'clay/kiln' }], { groupId: null, at: new Date() });
  repositoryId = (await findRepositoryByPath(db, 'clay/kiln'))!.id;
  await trackRepository(db, repositoryId);
  for (const one of KNOWN) {
    const found = mergeRequestIn(PROJECT, { headSha: HEAD, updatedAt: EVENT_AT, ...one });
    ids[found.iid] = (await upsertMergeRequest(db, found))!.id;
    await compute(ids[found.iid]!);
  }
  await sql`create table known_merge_requests as table merge_requests`.execute(db);
});
afterAll(() => database.drop());

/**
 * The one that the documented payloads tell of, from a fork; one of a branch, and one of the default branch; one that is
 * closed; and one into the branch of another. Of all that are open everything has been computed.
 */
const KNOWN: Partial<MergeRequest>[] = [
  { iid: 1, gitlabId: 99, title: 'Hotter', sourceBranch: 'hotter', sourceGitlabProjectId: FORK, reviewers: [6] },
  { iid: 2, sourceBranch: 'feature' },
  { iid: 3, sourceBranch: 'main', targetBranch: 'stable' },
  { iid: 4, sourceBranch: 'feature', state: 'closed' },
  { iid: 5, sourceBranch: 'more', targetBranch: 'feature' },
];

beforeEach(async () => {
  const { db } = database;
  await sql`delete from events`.execute(db); // and job_events with them
  await sql`delete from job_requests`.execute(db);
  await sql`delete from merge_requests`.execute(db);
  await sql`insert into merge_requests overriding system value select * from known_merge_requests`.execute(db);
  await trackRepository(db, repositoryId);
});

async function compute(id: number): Promise<void> {
  const { db } = database;
  const { revision, headSha } = (await findMergeRequest(db, id))!;
  const numbers = { ahead: 1, behind: 0, changedFiles: 1, additions: 1, deletions: 0 };
  const commits = { headSha: HEAD, baseSha: HEAD, at: new Date() };
  await writeMergeability(
    db,
    { id, revision },
    { state: 'clean', mergeable: true, rebaseable: true, ...numbers, ...commits },
  );
  await writeDecision(db, { id, headSha }, { review: 'approved', statuses: 'success', at: new Date() });
}

interface Effect {
  /** Numbers of the merge requests of which it is not known any more whether they can be merged. */
  unknown: number[];
  /** As `recompute_mergeability !1`; about the repository the kind alone. */
  asked: string[];
}

const mergeability = (...iids: number[]) => iids.map((iid) => `recompute_mergeability !${iid}`);
const decision = (...iids: number[]) => iids.map((iid) => `recompute_review_decision !${iid}`);
const both = (...iids: number[]) => [...mergeability(...iids), ...decision(...iids)];
const NO_EFFECT: Effect = { unknown: [], asked: [] };

async function effect(): Promise<Effect> {
  const records = await listMergeRequests(database.db, { repositoryId });
  const named = new Map(records.map(({ id, iid }) => [id, `!${iid}`]));
  const unknown = records.filter(({ mergeability: { state } }) => state === 'unknown').map(({ iid }) => iid);
  // What is asked for besides, of commits and branches, is looked at in push-events.test.ts.
  const all = await askedFor(database.db);
  const asked = all
    .filter(({ kind }) => !['processCommit', 'initializeRepository'].includes(kind))
    .map(({ kind, id }) => (kind.startsWith('recompute') ? `${kind} ${named.get(id) ?? id}` : kind));
  return { unknown: unknown.toSorted(), asked: asked.toSorted() };
}

async function told(...payloads: (Payload | string)[]): Promise<Effect> {
  await storeEvents(database.db, ...payloads);
  const { logger, messages } = recordingLogger();
  expect(await readEvents(database.db, logger)).toBe(payloads.length);
  expect(messages('WARN', 'ERROR')).toEqual([]);
  return effect();
}

const push = (branch: string, given: Payload = {}): Payload => ({
  ...(JSON.parse(PUSH.body) as Payload),
  ref: `refs/heads/${branch}`,
  ...given,
});
const known = (iid: number) => findMergeRequest(database.db, ids[iid]!);

describe('a push', () => {
  test.each<[string, () => Payload, Effect]>([
    ['to a head, which is a base too', () => push('feature'), { unknown: [2, 5], asked: both(2, 5).slice(0, 3) }],
    [
      'to the default branch, a base of some and a head of one',
      () => push('main'),
      { unknown: [1, 2, 3], asked: [...mergeability(1, 2, 3), ...decision(3), 'reindex_search'] },
    ],
    ['to a base alone', () => push('stable'), { unknown: [3], asked: mergeability(3) }],
    [
      'to a head in a fork that nobody tracks',
      () => push('hotter', { project_id: FORK, project: { id: FORK, default_branch: 'main' } }),
      { unknown: [1], asked: both(1) },
    ],
    [
      'to the default branch of a fork that nobody tracks',
      () => push('main', { project_id: FORK, project: { id: FORK, default_branch: 'main' } }),
      NO_EFFECT,
    ],
    ['to a branch that nothing is known of', () => push('other'), NO_EFFECT],
    ['to a branch whose name begins as another', () => push('feature/2'), NO_EFFECT],
    [
      'that deletes a head',
      () => push('feature', { after: NOTHING, checkout_sha: null }),
      { unknown: [2, 5], asked: [...mergeability(2, 5), ...decision(2)] },
    ],
    ['that makes a branch', () => push('stable', { before: NOTHING }), { unknown: [3], asked: mergeability(3) }],
    [
      'that is the first one of a repository',
      () => push('trunk', { before: NOTHING, project: { id: PROJECT, default_branch: null } }),
      { unknown: [], asked: ['reindex_search'] },
    ],
    ['of a tag, where it is told of as a push', () => push('', { ref: 'refs/tags/v1.0.0' }), NO_EFFECT],
    ['to a repository that nobody tracks', () => push('main', { project_id: 16, project: { id: 16 } }), NO_EFFECT],
  ])('J6, triggers: %s', async (_, payload, wanted) => {
    const { unknown, asked } = wanted;
    expect(await told(payload())).toEqual({ unknown, asked: asked.toSorted() });
  });

  test('J6, triggers: of a tag is not even looked at', async () => {
    await storeEvents(database.db, JSON.parse(TAG_PUSH.body) as Payload);
    expect(await readEvents(database.db)).toBe(0);
  });

  test('J7: makes what is being computed outdated, each time it is told of', async () => {
    const before = (await known(2))!.revision;
    await told(push('feature'), push('feature'));
    expect((await known(2))!.revision).toBe(before + 2);
    expect((await known(4))!.revision).toBe(0);
  });

  test('J9: leaves decisions alone: only the merge request tells what its head is', async () => {
    await told(push('feature'));
    expect((await known(2))!.decision).toMatchObject({ review: 'approved', headSha: HEAD });
  });
});

const changed = (...fields: string[]) =>
  Object.fromEntries(fields.map((field) => [field, { previous: 1, current: 2 }]));
const update = (given: Payload, changes: Payload = {}): Payload =>
  mergeRequestEvent({ action: 'update', updated_at: LATER, ...given }, { changes });

describe('an event of a merge request', () => {
  test.each<[string, () => Payload, Effect, Record<string, unknown>]>([
    [
      'that was pushed',
      () => update({ oldrev: HEAD, last_commit: { id: hashOf('b') } }),
      { unknown: [1], asked: both(1) },
      { headSha: hashOf('b') },
    ],
    [
      'that was retargeted',
      () => update({ target_branch: 'stable' }, changed('target_branch')),
      { unknown: [1], asked: both(1) },
      { targetBranch: 'stable' },
    ],
    [
      'that became a draft',
      () => update({ draft: true, title: 'Draft: Hotter' }, changed('draft', 'title')),
      { unknown: [1], asked: mergeability(1) },
      { isDraft: true },
    ],
    [
      'that became a draft, by an older GitLab',
      () => update({ draft: undefined, work_in_progress: true, title: 'WIP: Hotter' }, changed('title')),
      { unknown: [1], asked: mergeability(1) },
      { isDraft: true },
    ],
    [
      'with another title',
      () => update({ title: 'Cooler' }, changed('title')),
      { unknown: [], asked: mergeability(1) },
      { title: 'Cooler' },
    ],
    ['with other labels', () => update({}, changed('labels', 'updated_at')), NO_EFFECT, {}],
    [
      'with other reviewers',
      () => update({ reviewer_ids: [7, 8] }, changed('reviewers')),
      { unknown: [], asked: decision(1) },
      { reviewers: [7, 8] },
    ],
    ['that was approved', () => mergeRequestEvent({ action: 'approved' }), { unknown: [], asked: decision(1) }, {}],
    [
      'whose approval was taken back',
      () => mergeRequestEvent({ action: 'unapproved' }),
      { unknown: [], asked: decision(1) },
      {},
    ],
    [
      'that was closed',
      () => mergeRequestEvent({ action: 'close', state: 'closed', updated_at: LATER }),
      { unknown: [1], asked: [] },
      { state: 'closed' },
    ],
    [
      'that was merged',
      () => mergeRequestEvent({ action: 'merge', state: 'merged', updated_at: LATER }),
      { unknown: [1], asked: [] },
      { state: 'merged' },
    ],
    [
      'whose fork is gone',
      () => update({ source_project_id: null }),
      { unknown: [1], asked: both(1) },
      { sourceGitlabProjectId: null },
    ],
    ['in which somebody commented', () => noteEvent(), { unknown: [], asked: decision(1) }, {}],
  ])('triggers: %s', async (_, payload, { unknown, asked }, record) => {
    expect(await told(payload())).toEqual({ unknown, asked: asked.toSorted() });
    expect(await known(1)).toMatchObject(record);
  });

  test('J6: that was opened is kept, unknown, and both its jobs are asked for', async () => {
    const opened = mergeRequestEvent({ id: 100, iid: 7, action: 'open', source_project_id: PROJECT });
    expect(await told(opened)).toEqual({ unknown: [7], asked: both(7) });
  });

  test('triggers: that was reopened', async () => {
    await told(mergeRequestEvent({ action: 'close', state: 'closed', updated_at: LATER }));
    const reopened = mergeRequestEvent({ action: 'reopen', updated_at: '2026-11-12T15:00:01Z' });
    expect(await told(reopened)).toEqual({ unknown: [1], asked: both(1) });
  });

  test('J6: that nobody has heard of is computed, whatever the event is about', async () => {
    const stranger = { id: 100, iid: 7 };
    expect(await told(mergeRequestEvent({ ...stranger, action: 'approved' }))).toEqual({
      unknown: [7],
      asked: both(7),
    });
    expect(await told(noteEvent({ id: 101, iid: 8 }))).toEqual({
      unknown: [7, 8],
      asked: [...mergeability(7, 8), ...decision(7, 8)],
    });
    const closed = mergeRequestEvent({ id: 102, iid: 9, action: 'close', state: 'closed' });
    expect((await told(closed)).asked).toEqual([...mergeability(7, 8), ...decision(7, 8)]);
  });

  test('J6: what it brings along of a change whose own event got lost is computed too', async () => {
    const pushed = { last_commit: { id: hashOf('b') }, updated_at: LATER };
    expect(await told(update(pushed, changed('labels')))).toEqual({ unknown: [1], asked: both(1) });
    await compute(ids[1]!);
    await sql`delete from job_requests`.execute(database.db);
    const drafted = { ...pushed, draft: true, updated_at: '2026-11-12 15:00:01 UTC' };
    expect(await told(noteEvent(drafted))).toEqual({ unknown: [1], asked: both(1) });
    await told(mergeRequestEvent({ action: 'close', state: 'closed', updated_at: '2026-11-12T15:00:02Z' }));
    await sql`delete from job_requests`.execute(database.db);
    const reopened = noteEvent({ updated_at: '2026-11-12 15:00:03 UTC' });
    expect(await told(reopened)).toEqual({ unknown: [1], asked: both(1) });
  });

  test('J7: older than what is known changes nothing; of the same second, GitLab is asked which one is true', async () => {
    const older = update({ target_branch: 'stable', updated_at: EARLIER }, changed('target_branch'));
    expect(await told(older)).toEqual({ unknown: [], asked: both(1) });
    expect(await known(1)).toMatchObject({ targetBranch: 'main' });
    await sql`delete from job_requests`.execute(database.db);
    const sameSecond = update({ draft: true, updated_at: '2026-11-12T14:27:31Z' }, changed('draft'));
    expect(await told(sameSecond)).toEqual({ unknown: [1], asked: [...mergeability(1), 'sync_merge_requests'] });
    expect(await known(1)).toMatchObject({ isDraft: true });
    await sql`delete from job_requests`.execute(database.db);
    // Told once more it says nothing that is not known.
    expect((await told(sameSecond)).asked).toEqual(mergeability(1));
  });

  test('J6: of a repository that nobody tracks leaves no trace', async () => {
    const elsewhere = { target_project_id: 16, source_project_id: 16 };
    expect(
      await told(
        mergeRequestEvent(elsewhere),
        noteEvent(elsewhere),
        mergeRequestEvent({ ...elsewhere, id: 3, iid: 3 }),
      ),
    ).toEqual(NO_EFFECT);
    const { count } = await database.db
      .selectFrom('merge_requests')
      .select(sql<number>`count(*)::int`.as('count'))
      .executeTakeFirstOrThrow();
    expect(count).toBe(KNOWN.length);
  });
});

describe('an event of a pipeline or a job', () => {
  const elsewhere = { id: 16 };
  const stranger = { ...MERGE_REQUEST_OF_PIPELINE, id: 100, iid: 7 };
  test.each<[string, () => Payload, string[]]>([
    ['of a branch is about all that have this head', () => pipelineEvent(), decision(1, 2, 3, 5)],
    ['in the fork of one is about that', () => pipelineEvent({}, { project: { id: FORK } }), decision(1)],
    ['of another commit is about none', () => pipelineEvent({ sha: hashOf('e') }), []],
    [
      'of what a merge would be is about its merge request',
      () => pipelineEvent({ sha: hashOf('e') }, { merge_request: MERGE_REQUEST_OF_PIPELINE }),
      decision(1),
    ],
    [
      'of a merge request that nobody has heard of has GitLab asked for it',
      () => pipelineEvent({ sha: hashOf('e') }, { merge_request: stranger }),
      ['sync_merge_requests'],
    ],
    [
      'in a repository that nobody tracks is about none',
      () => pipelineEvent({}, { project: elsewhere, merge_request: { ...stranger, target_project_id: 16 } }),
      [],
    ],
    ['(a job) is about its commit', () => jobEvent(), decision(1, 2, 3, 5)],
    ['(a job) of another commit is about none', () => jobEvent({ sha: hashOf('e') }), []],
  ])('J9, triggers: %s', async (_, payload, asked) => {
    expect(await told(payload())).toEqual({ unknown: [], asked });
  });
});

describe('events that are not as documented', () => {
  const SECRET = 'what-only-the-payload-knows';
  const malformed: [string, Payload | string][] = [
    ['ref', push('main', { ref: 7, note: SECRET })],
    ['project_id', push('main', { project_id: '15', note: SECRET })],
    ['ref', push(`..${SECRET}`)],
    ['object_attributes', { object_kind: 'merge_request', note: SECRET }],
    ['object_attributes.iid', mergeRequestEvent({ iid: SECRET })],
    ['object_attributes.source_branch', mergeRequestEvent({ source_branch: `:${SECRET}` })],
    ['object_attributes.state', mergeRequestEvent({ state: SECRET })],
    ['merge_request.last_commit.id', noteEvent({ last_commit: { id: SECRET } })],
    ['object_attributes.sha', pipelineEvent({ sha: SECRET })],
    ['sha', jobEvent({ sha: SECRET })],
    ['project_id', jobEvent({ project_id: -1, note: SECRET })],
    ['payload', `["${SECRET}"]`],
    ['payload', 'null'],
  ];

  test('bad input: each is passed over with one line that names its field and repeats nothing; the others go on', async () => {
    const { db } = database;
    const before = await listMergeRequests(db, { repositoryId });
    for (const [, payload] of malformed) await storeAs('gitlab.merge_request', payload);
    await storeEvents(db, push('stable'));
    const { logger, lines } = recordingLogger();
    expect(await readEvents(db, logger)).toBe(malformed.length + 1);
    expect(await effect()).toEqual({ unknown: [3], asked: mergeability(3) });
    const after = await listMergeRequests(db, { repositoryId });
    expect(after.filter(({ iid }) => iid !== 3)).toEqual(before.filter(({ iid }) => iid !== 3));
    expect(lines.map(({ level, meta }) => [level, String(meta['problem']).split(':')[0]])).toEqual(
      malformed.map(([field]) => ['WARN', field]),
    );
    expect(JSON.stringify(lines)).not.toContain(SECRET);
    expect(lines.every(({ meta }) => typeof meta['eventId'] === 'string')).toBe(true);
  });

  test('bad input: a kind that only its topic has, or that means nothing here, is no event of ours', async () => {
    await storeAs('gitlab.push', { object_kind: 'issue' });
    await storeAs('gitlab.push', { object_kind: 'constructor' });
    expect(await readEvents(database.db)).toBe(2);
    expect(await effect()).toEqual(NO_EFFECT);
  });

  test('bad input: times, titles and numbers that Postgres would not take', async () => {
    const nasty: Payload[] = [
      { updated_at: '-271821-04-20T00:00:00Z' },
      { updated_at: '+275760-09-13T00:00:00Z' },
      { updated_at: 'yesterday' },
      { title: 'nul \u0000, half \ud800 of a pair, and 🔥'.repeat(2_000) },
      { iid: 2 ** 31 },
      { id: 2 ** 53 - 1, iid: 2 ** 31 - 1, source_project_id: 2 ** 53 - 1 },
      { reviewer_ids: [2 ** 53 - 1] },
    ];
    const events = nasty.map((given) => mergeRequestEvent({ ...given, action: 'update' }));
    await storeEvents(database.db, ...events, push('main', { project_id: 2 ** 53 - 1 }));
    const { logger, messages } = recordingLogger();
    expect(await readEvents(database.db, logger)).toBe(nasty.length + 1);
    expect(messages('ERROR')).toEqual([]);
  });

  test('bad input: a payload of 1 MiB is read in a moment', async () => {
    const commits = [{ id: HEAD, message: 'x'.repeat(1024 * 1024 - 4_096) }];
    await storeEvents(database.db, push('feature', { commits }));
    const before = performance.now();
    expect(await readEvents(database.db)).toBe(1);
    expect(performance.now() - before).toBeLessThan(2_000);
    expect((await effect()).unknown).toEqual([2, 5]);
  });
});

async function storeAs(topic: string, payload: Payload | string): Promise<void> {
  const [id] = await storeEvents(database.db, { object_kind: 'push' });
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  await sql`update events set topic = ${topic}, payload = ${text} where id = ${id}`.execute(database.db);
}

describe('all of it or nothing', () => {
  test('J6: a fault after the merge request is kept undoes that; once more, it all comes true', async () => {
    const { db } = database;
    await sql`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'no more jobs'; end $$
    `.execute(db);
    await sql`create trigger refuses before insert on job_requests for each row execute function refuse()`.execute(db);
    const before = await known(1);
    await storeEvents(db, update({ oldrev: HEAD, last_commit: { id: hashOf('b') } }));
    const { logger } = recordingLogger();
    await expect(readJobEvent({ db, logger })).rejects.toThrow('no more jobs');
    expect(await known(1)).toEqual(before);
    await sql`drop function refuse cascade`.execute(db);
    expect(await readEvents(db)).toBe(1);
    expect(await effect()).toEqual({ unknown: [1], asked: both(1) });
    expect((await known(1))!.revision).toBe(before!.revision + 1);
  });

  test('J4: a relay that dies in the middle of it leaves the event to the next', async () => {
    const { db } = database;
    await storeEvents(db, push('main'), push('stable'));
    // It comes as far as its jobs, and stays there.
    const blocker = new pg.Client({ connectionString: database.url });
    await blocker.connect();
    await blocker.query('begin; lock table job_requests in exclusive mode');
    const { logger } = recordingLogger();
    const dying = readJobEvent({ db, logger }).catch((error: unknown) => error);
    await eventually(async () => {
      const { rows } = await sql<{ pid: number }>`
        with waiting as materialized (
          select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
        )
        select pid from waiting where pg_terminate_backend(pid)
      `.execute(db);
      expect(rows).toHaveLength(1);
    });
    expect(await dying).toBeInstanceOf(Error);
    await blocker.query('rollback');
    await blocker.end();
    expect(await effect()).toEqual(NO_EFFECT);
    expect(await readEvents(db)).toBe(2);
    expect(await effect()).toEqual({
      unknown: [1, 2, 3],
      asked: [...mergeability(1, 2, 3, 3), ...decision(3), 'reindex_search'],
    });
  });

  test('J6: an event that is dispatched again while it waits is read once', async () => {
    const { db } = database;
    await storeEvents(db, push('stable'));
    await sql`update events set dispatched_at = null`.execute(db);
    await storeEvents(db, push('feature'));
    expect(await readEvents(db)).toBe(2);
  });
});

describe('several relays at once', () => {
  test('J7: nothing gets lost, and none waits for another in a circle', async () => {
    const { db } = database;
    for (let iid = 10; iid < 40; iid++) {
      const kept = await upsertMergeRequest(
        db,
        mergeRequestIn(PROJECT, {
          iid,
          updatedAt: EVENT_AT - 1_000,
          sourceBranch: `b${iid % 7}`,
          targetBranch: `b${(iid + 3) % 7}`,
        }),
      );
      ids[iid] = kept!.id;
    }
    const branch = (n: number) => `b${n % 7}`;
    const events = Array.from({ length: 200 }, (_, n) => {
      if (n % 3 > 0) return push(branch(n));
      const iid = 10 + (n % 30);
      const moved = { iid, id: PROJECT * 1_000 + iid, source_project_id: PROJECT, source_branch: branch(iid) };
      return update(
        { ...moved, target_branch: branch(n), updated_at: new Date(EVENT_AT + n * 1_000).toISOString() },
        changed('target_branch'),
      );
    });
    await storeEvents(db, ...events);
    const counts = await Promise.all(Array.from({ length: 4 }, () => readEvents(db)));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(events.length);
    expect(await db.selectFrom('job_events').select('event_id').execute()).toEqual([]);
    const { unknown, asked } = await effect();
    // Who was changed after it was computed is unknown, and asked for.
    for (const iid of unknown) expect(asked).toContain(`recompute_mergeability !${iid}`);
    const newest = new Map(
      events.flatMap((event) => {
        const attributes = event['object_attributes'] as { iid: number; target_branch: string } | undefined;
        return attributes === undefined ? [] : [[attributes.iid, attributes.target_branch] as const];
      }),
    );
    for (const [iid, targetBranch] of newest) expect(await known(iid)).toMatchObject({ targetBranch });
  });

  test('J7: a repository that is removed meanwhile takes everything with it', async () => {
    const { db } = database;
    for (let round = 0; round < 8; round++) {
      await trackRepository(db, repositoryId);
      const events = Array.from({ length: 12 }, (_, n) =>
        n % 3 === 0 ? push('main') : mergeRequestEvent({ id: 1_000 + n, iid: 50 + n, action: 'open' }),
      );
      await storeEvents(db, ...events);
      await Promise.all([
        readEvents(db),
        readEvents(db),
        new Promise((resolve) => setTimeout(resolve, round * 4)).then(() => untrackRepository(db, repositoryId)),
      ]);
      expect(
        await db.selectFrom('merge_requests').select('iid').where('repository_id', '=', repositoryId).execute(),
      ).toEqual([]);
    }
  });
});
