import { expect } from 'vitest';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { DEFAULT_HOOK_EVENTS, flagsOf } from '../../src/domain/hook-events.ts';
import { HOOK_NAME, hookDescription } from '../../src/domain/hook-marker.ts';
import { hookUrl, isSameUrl } from '../../src/domain/hook-url.ts';
import type { HookWorld } from './gitlab-hook-world.ts';
import type { Hook, Owner } from './gitlab/index.ts';

export async function hookRows(db: ForgeflowDatabase) {
  return db
    .selectFrom('gitlab_hooks')
    .leftJoin('repositories', 'repositories.id', 'repository_id')
    .leftJoin('gitlab_groups', 'gitlab_groups.id', 'gitlab_hooks.group_id')
    .selectAll('gitlab_hooks')
    .select(({ fn }) => fn.coalesce('repositories.gitlab_id', 'gitlab_groups.gitlab_id').as('owner_id'))
    .execute();
}

/** The one of a project or group. */
export async function hookRowOf({ db }: Pick<HookWorld, 'db'>, owner: Owner) {
  const row = (await hookRows(db)).find(({ owner_id: id }) => Number(id) === owner.id);
  if (row === undefined) throw new Error(`there is no row for ${owner.path}`);
  return row;
}

export function hooksOfOurs({ gitlab, ingressUrl }: HookWorld, owner: Owner): Hook[] {
  return gitlab.hooksOf(owner).filter(({ url }) => isSameUrl(url, hookUrl(ingressUrl)));
}

/** G6, G8: each has exactly one hook of ours, right in everything, whose secret is the one that we have stored. */
export async function assertEachHasItsHook(world: HookWorld, owners: readonly Owner[]): Promise<void> {
  const rows = new Map((await hookRows(world.db)).map((row) => [Number(row.owner_id), row]));
  for (const owner of owners) {
    const ours = hooksOfOurs(world, owner);
    expect(
      ours.map(({ url }) => url),
      `hooks of ${owner.path}`,
    ).toEqual([hookUrl(world.ingressUrl)]);
    const row = rows.get(owner.id);
    expect(row, owner.path).toMatchObject({ state: 'installed', secret_arrived: true, reason: null });
    const hook = ours[0]!;
    expect(Number(row!.gitlab_hook_id), owner.path).toBe(hook.id);
    // As whole: the difference of two secrets is nothing to be printed.
    expect(world.sealer.open(row!.secret_sealed!) === hook.token, `the secret of ${owner.path}`).toBe(true);
    const flags = Object.entries(flagsOf(DEFAULT_HOOK_EVENTS, owner.kind)).filter(([flag]) => flag in hook);
    expect(flags.length).toBeGreaterThan(DEFAULT_HOOK_EVENTS.length);
    expect(hook, owner.path).toMatchObject({
      ...Object.fromEntries(flags),
      name: HOOK_NAME,
      description: hookDescription(row!.secret_id!),
      enable_ssl_verification: true,
    });
  }
}

/** What happens in each of them arrives at the ingress, which takes it, once. */
export async function assertEventsArrive({ gitlab, ingressUrl }: HookWorld, owners: readonly Owner[]): Promise<void> {
  for (const owner of owners) {
    const deliveries = await gitlab.emit(owner, 'push_events');
    const ours = deliveries.filter(({ url }) => isSameUrl(url, hookUrl(ingressUrl)));
    expect(
      ours.map(({ status }) => status),
      `what ${owner.path} sent`,
    ).toEqual([202]);
  }
}
