// The installer's requests and nothing else. See install-bare-loop.ts.
import { randomBytes, randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import { DEFAULT_HOOK_EVENTS, flagsOf } from '../../src/domain/hook-events.ts';
import { HOOK_HEADER, HOOK_NAME, hookDescription } from '../../src/domain/hook-marker.ts';
import { hookUrl } from '../../src/domain/hook-url.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import type { HookBody } from '../../src/gitlab/hook-shape.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import type { BareLoopAnswers, BareLoopSettings } from './install-bare-loop.ts';
import { answerQuestions, programSettings } from './program.ts';

const { url, token, concurrency, ingressUrl } = programSettings() as BareLoopSettings;
const client = createGitlabClient({ url, token });

const installed = new Set<number>();

answerQuestions<BareLoopAnswers>({
  async install() {
    const { userId, owners } = await list();
    return forAll(
      owners.filter(({ gitlabId }) => !installed.has(gitlabId)),
      async (owner) => {
        await client.accessOf(owner, userId);
        await client.listHooks(owner);
        await client.createHook(owner, someHook());
        installed.add(owner.gitlabId);
      },
    );
  },
  async verify() {
    const { owners } = await list();
    return forAll(owners, async (owner) => {
      await client.listHooks(owner);
    });
  },
});

async function list(): Promise<{ userId: number; owners: GitlabOwner[] }> {
  const { id: userId } = await client.currentUser();
  const owners: GitlabOwner[] = [];
  let after: number | null = null;
  do {
    const { items, next } = await client.ownProjects(after);
    owners.push(...items.map(({ gitlabId }) => ({ kind: 'project' as const, gitlabId })));
    after = next;
  } while (after !== null);
  return { userId, owners };
}

async function forAll(owners: GitlabOwner[], work: (owner: GitlabOwner) => Promise<void>): Promise<number> {
  const limit = pLimit(concurrency);
  await Promise.all(owners.map((owner) => limit(() => work(owner))));
  return owners.length;
}

function someHook(): HookBody {
  return {
    url: hookUrl(ingressUrl),
    token: randomBytes(32).toString('base64url'),
    flags: flagsOf(DEFAULT_HOOK_EVENTS, 'project'),
    sslVerification: true,
    branchFilter: '',
    name: HOOK_NAME,
    description: hookDescription(randomUUID()),
    customHeaders: [{ key: HOOK_HEADER, value: randomUUID() }],
  };
}
