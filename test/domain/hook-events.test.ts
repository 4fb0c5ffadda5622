import { describe, expect, test } from 'vitest';
import { DEFAULT_HOOK_EVENTS, flagsOf, HOOK_EVENTS } from '../../src/domain/hook-events.ts';

describe('G8: the flags of a hook', () => {
  test.each(['project', 'group'] as const)('are all those of a %s, each on or off', (owner) => {
    const flags = flagsOf(['push', 'note'], owner);
    expect(Object.keys(flags)).toHaveLength(owner === 'group' ? 20 : 18);
    expect(Object.entries(flags).filter(([, on]) => on)).toEqual([
      ['push_events', true],
      ['note_events', true],
    ]);
    expect(flags).toMatchObject({ tag_push_events: false, confidential_note_events: false });
  });

  test('are those that such an owner knows: others would be sent in vain, and count as drift for ever', () => {
    expect(flagsOf(HOOK_EVENTS, 'project')).not.toHaveProperty('subgroup_events');
    expect(flagsOf(HOOK_EVENTS, 'group')).not.toHaveProperty('resource_deploy_token_events');
    expect(flagsOf(HOOK_EVENTS, 'group')).toMatchObject({ member_events: true, project_events: true });
    expect(Object.values(flagsOf(HOOK_EVENTS, 'project')).every(Boolean)).toBe(true);
  });

  test('are by default pushes, merge requests, issues, notes, what CI does, and of a group who and what belongs to it; nothing confidential', () => {
    expect(DEFAULT_HOOK_EVENTS.filter((event) => !HOOK_EVENTS.includes(event))).toEqual([]);
    expect(DEFAULT_HOOK_EVENTS.filter((event) => event.startsWith('confidential'))).toEqual([]);
    expect(Object.values(flagsOf(DEFAULT_HOOK_EVENTS, 'project')).filter(Boolean)).toHaveLength(7);
    expect(Object.values(flagsOf(DEFAULT_HOOK_EVENTS, 'group')).filter(Boolean)).toHaveLength(10);
  });
});
