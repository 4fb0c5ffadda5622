import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_HOOK_EVENTS, flagsOf } from '../../src/domain/hook-events.ts';
import { HOOK_NAME, hookDescription, secretIdIn } from '../../src/domain/hook-marker.ts';
import { type FoundHook, planHook, type StoredHook } from '../../src/domain/hook-plan.ts';
import { isSameUrl } from '../../src/domain/hook-url.ts';

// A GitLab in memory, which knows the tokens that planHook never sees; an installer that can die before and after each of
// its steps; and people who do what they like.

interface Hook extends FoundHook {
  token: string;
}

class Died extends Error {}

const URLS = ['https://a.example.com/gitlab/events', 'https://b.example.com/gitlab/events'];
const flags = flagsOf(DEFAULT_HOOK_EVENTS, 'project');

class World {
  url = URLS[0]!;
  hooks: Hook[] = [];
  stored: StoredHook = { gitlabHookId: null, secretId: null, secretArrived: false, everInstalled: false };
  /** Of the stored secret, and of the one before: what the ingress lets in. */
  accepted: (string | undefined)[] = [];
  readonly #knowsNames: boolean;
  #count = 0;

  /** @param knowsNames whether this GitLab is 17.1 or newer */
  constructor(knowsNames: boolean) {
    this.#knowsNames = knowsNames;
  }

  number(): number {
    return ++this.#count;
  }

  list(): FoundHook[] {
    return this.hooks.map(({ token: _token, name, description, ...hook }) =>
      this.#knowsNames ? { ...hook, name: name ?? null, description: description ?? null } : hook,
    );
  }

  add(changes: Partial<Hook>): Hook {
    const id = this.number();
    const hook: Hook = {
      id,
      url: this.url,
      flags,
      sslVerification: true,
      branchFilter: '',
      alertStatus: 'executable',
      disabledUntil: null,
      name: null,
      description: null,
      token: `by hand ${id}`,
      ...changes,
    };
    this.hooks.push(hook);
    return hook;
  }

  /** One look at the hook, in the installer's order. @param step called before and after each thing that it does */
  install(step: () => void): void {
    const { stored, url } = this;
    const found = this.list();
    step();
    const plan = planHook({ url, flags }, stored, found);
    let { secretId } = stored;
    if (plan.action === 'create' || plan.action === 'update') {
      if (plan.secret === 'new') {
        expect(stored.secretId === null || stored.secretArrived, 'a secret in doubt is never replaced').toBe(true);
        secretId = `0198f3a2-6b1c-7def-8a3b-${String(this.number()).padStart(12, '0')}`;
        this.stored = { ...stored, secretId, secretArrived: false };
        this.accepted = [secretId, this.accepted[0]];
        step();
      }
      const sent = {
        ...{ url, flags, sslVerification: true, branchFilter: '', token: secretId! },
        ...{ name: HOOK_NAME, description: hookDescription(secretId!) },
      };
      if (plan.hookId === null) plan.hookId = this.add(sent).id;
      else
        Object.assign(
          this.hooks.find(({ id }) => id === plan.hookId)!,
          sent,
        );
      step();
    }
    for (const surplus of plan.surplus) {
      this.hooks = this.hooks.filter(({ id }) => id !== surplus);
      step();
    }
    this.stored = { gitlabHookId: plan.hookId, secretId, secretArrived: true, everInstalled: true };
    step();
  }
}

const pick = fc.nat({ max: 9 });
const happenings = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant('die' as const), after: fc.nat({ max: 6 }) }) },
    fc.record({
      what: fc.constantFrom(
        'drift',
        'remove',
        'double',
        'describe',
        'forget id',
        'by hand',
        'elsewhere',
        'move' as const,
      ),
      which: pick,
    }),
  ),
  { maxLength: 25 },
);

type Happening = typeof happenings extends fc.Arbitrary<(infer H)[]> ? H : never;

function happen(world: World, happening: Happening): void {
  if (happening.what === 'die') {
    let left = happening.after;
    try {
      world.install(() => {
        if (left-- === 0) throw new Died();
      });
    } catch (error) {
      if (!(error instanceof Died)) throw error;
    }
    return;
  }
  const hook = world.hooks[happening.which % Math.max(1, world.hooks.length)];
  const { which } = happening;
  switch (happening.what) {
    case 'drift':
      if (hook === undefined) break;
      if (which % 3 === 0) hook.url = URLS[which % 2]!;
      else if (which % 3 === 1) hook.flags = { ...hook.flags, push_events: false };
      else hook.sslVerification = false;
      break;
    case 'remove':
      world.hooks = world.hooks.filter((other) => other !== hook);
      break;
    case 'double': // as a proxy between us and GitLab does that sends a POST twice
      if (hook !== undefined) world.add({ ...hook, id: world.number() });
      break;
    case 'describe':
      if (hook !== undefined) hook.description = which % 2 === 0 ? null : `${hook.description ?? ''} (keep!)`;
      break;
    case 'forget id': // as after a backup of ours was played back
      world.stored = { ...world.stored, gitlabHookId: null };
      break;
    case 'by hand':
      world.add({});
      break;
    case 'elsewhere':
      world.add({ url: 'https://chat.example.com', name: 'chat' });
      break;
    case 'move': // INGRESS_URL changes
      world.url = URLS[which % 2]!;
      break;
  }
}

describe('G6: whatever is lost, doubled, drifts or dies', () => {
  test.each([true, false])(
    'one look in peace leaves one hook, with the stored secret (GitLab knows names: %s)',
    (names) => {
      fc.assert(
        fc.property(happenings, (sequence) => {
          const world = new World(names);
          for (const happening of sequence) {
            happen(world, happening);
            // Nothing that our hook sends is refused, not even while a secret is under way.
            const onRecord = world.hooks.find(({ id }) => id === world.stored.gitlabHookId);
            if (onRecord !== undefined) expect(world.accepted).toContain(onRecord.token);
          }
          const others = world.hooks.filter(({ url, description, id }) => {
            const isOurs = isSameUrl(url, world.url) || id === world.stored.gitlabHookId;
            return !isOurs && !(names && secretIdIn(description) === world.stored.secretId);
          });
          world.install(() => undefined);

          const ours = world.hooks.filter(({ url }) => isSameUrl(url, world.url));
          expect(ours).toHaveLength(1);
          expect(ours[0]).toMatchObject({ id: world.stored.gitlabHookId, token: world.stored.secretId, flags });
          expect(ours[0]).toMatchObject({ sslVerification: true, branchFilter: '' });
          expect(world.hooks).toEqual(expect.arrayContaining(others)); // what belongs to others stays
          const again = planHook({ url: world.url, flags }, world.stored, world.list());
          expect(again).toMatchObject({ action: 'keep', drift: [], surplus: [] });
        }),
        { numRuns: 1_000 },
      );
    },
  );
});
