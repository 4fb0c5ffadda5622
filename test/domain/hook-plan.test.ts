import { describe, expect, test } from 'vitest';
import { DEFAULT_HOOK_EVENTS, flagsOf } from '../../src/domain/hook-events.ts';
import { HOOK_NAME, hookDescription } from '../../src/domain/hook-marker.ts';
import { type FoundHook, outcomeOf, planHook, planRemoval, type StoredHook } from '../../src/domain/hook-plan.ts';

const SECRET = '0198f3a2-6b1c-7def-8a3b-0123456789ab';
const OTHER = '0198f3a2-6b1c-7def-8a3b-ffffffffffff';
const wanted = { url: 'https://hooks.example.com/gitlab/events', flags: flagsOf(DEFAULT_HOOK_EVENTS, 'project') };

const NOTHING: StoredHook = { gitlabHookId: null, secretId: null, secretArrived: false, everInstalled: false };
const IN_DOUBT: StoredHook = { ...NOTHING, secretId: SECRET };
const INSTALLED: StoredHook = { gitlabHookId: 7, secretId: SECRET, secretArrived: true, everInstalled: true };

const ours = (changes: Partial<FoundHook> = {}): FoundHook => ({
  id: 7,
  url: wanted.url,
  flags: { ...wanted.flags, repository_update_events: false },
  sslVerification: true,
  branchFilter: '',
  alertStatus: 'executable',
  disabledUntil: null,
  name: HOOK_NAME,
  description: hookDescription(SECRET),
  ...changes,
});
/** As GitLab before 17.1 shows it. */
const nameless = (changes: Partial<FoundHook> = {}): FoundHook => {
  const hook = ours(changes);
  delete hook.name;
  delete hook.description;
  return hook;
};
const byHand = (changes: Partial<FoundHook> = {}) => ours({ name: null, description: null, ...changes });
const elsewhere = ours({ id: 1, url: 'https://chat.example.com', name: 'chat', description: null });

const plan = (stored: StoredHook, ...found: FoundHook[]) => planHook(wanted, stored, found);
const outcome = (stored: StoredHook, ...found: FoundHook[]) => outcomeOf(plan(stored, ...found), stored);

describe('G3: none is there', () => {
  test('one is created, with a new secret, and what belongs to others is left alone', () => {
    expect(plan(NOTHING, elsewhere)).toEqual({
      action: 'create',
      hookId: null,
      secret: 'new',
      drift: [],
      surplus: [],
      reenable: false,
    });
    expect(outcome(NOTHING)).toBe('installed');
  });

  test('G6: a secret in doubt is sent again, since the request that carried it may still arrive', () => {
    expect(plan(IN_DOUBT)).toMatchObject({ action: 'create', secret: 'stored' });
    expect(outcome(IN_DOUBT)).toBe('installed');
  });

  test('G5: one that was removed by hand is made again, with a fresh secret', () => {
    expect(plan(INSTALLED, elsewhere)).toMatchObject({ action: 'create', secret: 'new' });
    expect(outcome(INSTALLED)).toBe('repaired');
    expect(plan({ ...INSTALLED, secretArrived: false })).toMatchObject({ action: 'create', secret: 'stored' });
  });
});

describe('G5: it is there and right', () => {
  test.each([
    ['', ours()],
    [' in a GitLab that knows no names', nameless()],
    [' in one that disables no hooks, and filters none', nameless({ alertStatus: null, branchFilter: null })],
    [' in one that does not know all events', ours({ flags: { push_events: true } })],
    [' with its address written in another way', ours({ url: 'https://HOOKS.example.com:443/gitlab/events' })],
  ])('nothing is to be done%s', (_, hook) => {
    expect(plan(INSTALLED, elsewhere, hook)).toEqual({
      action: 'keep',
      hookId: 7,
      secret: 'stored',
      drift: [],
      surplus: [],
      reenable: false,
    });
    expect(outcome(INSTALLED, hook)).toBe('verified');
  });

  test('G6: one whose answer was lost is adopted by its marker', () => {
    expect(plan(IN_DOUBT, ours({ id: 9 }))).toMatchObject({ action: 'adopt', hookId: 9, secret: 'stored', drift: [] });
    expect(outcome(IN_DOUBT, ours({ id: 9 }))).toBe('adopted');
    const lostId = { ...INSTALLED, gitlabHookId: null };
    expect(plan(lostId, ours())).toMatchObject({ action: 'adopt', hookId: 7 });
  });

  test('G6: without a marker it is sent the secret in doubt once more', () => {
    expect(plan(IN_DOUBT, nameless())).toMatchObject({
      action: 'update',
      hookId: 7,
      secret: 'stored',
      drift: ['token'],
    });
    expect(outcome(IN_DOUBT, nameless())).toBe('adopted');
    expect(outcome({ ...INSTALLED, secretArrived: false }, nameless())).toBe('repaired');
  });
});

describe('G5: it has drifted', () => {
  test.each([
    [['url'], { url: 'https://old.example.com/gitlab/events' }],
    [['push_events'], { flags: { ...wanted.flags, push_events: false } }],
    [['wiki_page_events'], { flags: { ...wanted.flags, wiki_page_events: true } }],
    [['enable_ssl_verification'], { sslVerification: false }],
    [['push_events_branch_filter'], { branchFilter: 'main' }],
    [['name'], { name: 'mine' }],
    [['description'], { description: `${hookDescription(SECRET)}.` }],
    [['description'], { description: null }],
    [['url', 'name'], { url: 'not a url', name: null }],
  ] as const)('%j is corrected, with the secret that it has', (drift, changes) => {
    expect(plan(INSTALLED, ours(changes))).toMatchObject({ action: 'update', hookId: 7, secret: 'stored', drift });
    expect(outcome(INSTALLED, ours(changes))).toBe('repaired');
  });

  test('one that GitLab has disabled is to be enabled again', () => {
    for (const alertStatus of ['disabled', 'temporarily_disabled'] as const) {
      expect(plan(INSTALLED, ours({ alertStatus }))).toMatchObject({ action: 'keep', reenable: true });
      expect(outcome(INSTALLED, ours({ alertStatus }))).toBe('repaired');
    }
  });
});

describe('G6: a hook of ours with a secret that nobody knows', () => {
  test.each([
    ['made by hand', NOTHING, byHand(), ['description', 'name', 'token']],
    ['made by hand, in an older GitLab', NOTHING, nameless(), ['token']],
    ['of a database that was lost', NOTHING, ours({ description: hookDescription(OTHER) }), ['description', 'token']],
    ['made by hand in place of ours', INSTALLED, byHand({ id: 8 }), ['description', 'name', 'token']],
  ])('%s is updated with a new one', (_, stored, hook, drift) => {
    const { action, hookId, secret, drift: found } = plan(stored, hook);
    expect({ action, hookId, secret }).toEqual({ action: 'update', hookId: hook.id, secret: 'new' });
    expect([...found].sort()).toEqual(drift);
    expect(outcome(stored, hook)).toBe('repaired');
  });

  test('one that another forgeflow took over by the same address gets ours again', () => {
    const taken = ours({ description: hookDescription(OTHER) });
    expect(plan(INSTALLED, taken)).toMatchObject({ action: 'update', secret: 'stored', drift: ['description'] });
  });
});

describe('G6: several are there', () => {
  test('the one with our secret is kept, the others with our address are removed', () => {
    const found = [byHand({ id: 3 }), elsewhere, ours({ id: 12 }), ours({ id: 9 }), byHand({ id: 20 })];
    expect(plan({ ...INSTALLED, gitlabHookId: 20 }, ...found)).toMatchObject({
      action: 'adopt',
      hookId: 9,
      surplus: [3, 12, 20],
    });
    expect(plan(INSTALLED, byHand({ id: 3 }), ours())).toMatchObject({ action: 'keep', hookId: 7, surplus: [3] });
    expect(outcome(INSTALLED, byHand({ id: 3 }), ours())).toBe('repaired');
  });

  test('without markers, the one on record is kept; without a record, the oldest', () => {
    expect(plan(INSTALLED, nameless({ id: 3 }), nameless())).toMatchObject({ action: 'keep', hookId: 7, surplus: [3] });
    expect(plan(NOTHING, nameless({ id: 12 }), nameless({ id: 5 }))).toMatchObject({ hookId: 5, surplus: [12] });
  });

  test('the one on record counts more than one with our address, which is then surplus', () => {
    const moved = nameless({ url: 'https://old.example.com/gitlab/events' });
    expect(plan(INSTALLED, nameless({ id: 3 }), moved)).toMatchObject({ action: 'update', hookId: 7, surplus: [3] });
  });
});

describe('G9: an owner that is to have none', () => {
  test('loses all of ours and nothing else', () => {
    const moved = nameless({ url: 'https://old.example.com/gitlab/events' });
    const marked = ours({ id: 9, url: 'https://older.example.com/gitlab/events' });
    expect(planRemoval(wanted, INSTALLED, [elsewhere, moved, marked, byHand({ id: 30 })])).toEqual([7, 9, 30]);
    expect(planRemoval(wanted, NOTHING, [elsewhere])).toEqual([]);
  });
});
