import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { upsertGroup } from '../../src/database/gitlab-groups.ts';
import { findHookOfGroup, findHookOfRepository } from '../../src/database/gitlab-hooks.ts';
import {
  type InstalledHook,
  type NotInstalledHook,
  recordInstalled,
  recordNotInstalled,
  storeHookSecret,
} from '../../src/database/gitlab-hook-records.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 10, 26);
/** So many minutes after a moment that is past. */
export const at = (minutes: number) => new Date(NOW + minutes * MINUTE);

export async function emptyHookTables(db: ForgeflowDatabase): Promise<void> {
  await sql`truncate gitlab_hooks, repositories, gitlab_groups, gitlab_listings, gitlab_runs cascade`.execute(db);
}

let count = 0;

/** A repository that was just listed. @returns its ids */
export async function addRepository(
  db: ForgeflowDatabase,
  { path = `group/project-${++count}`, groupId = null as number | null, minutes = 0 } = {},
): Promise<{ id: number; hookId: string; gitlabId: number; path: string }> {
  const gitlabId = 1_000 + ++count;
  await upsertRepositories(db, [{ gitlabId, path }], { groupId, at: at(minutes) });
  const repository = await findRepositoryByPath(db, path);
  const hook = await findHookOfRepository(db, repository!.id);
  return { id: repository!.id, hookId: hook!.id, gitlabId, path };
}

export async function addGroup(
  db: ForgeflowDatabase,
  path = `group-${++count}`,
): Promise<{ id: number; hookId: string }> {
  const { id } = await upsertGroup(db, { gitlabId: ++count, path });
  return { id, hookId: (await findHookOfGroup(db, id))!.id };
}

export function newSecret() {
  return { secretId: uuidv7(), sealed: randomBytes(40), tokenHash: randomBytes(32) };
}

/** Stores a secret and records the hook that has it. */
export async function install(
  db: ForgeflowDatabase,
  hookId: string,
  changes: Partial<InstalledHook> = {},
): Promise<ReturnType<typeof newSecret>> {
  const secret = newSecret();
  await storeHookSecret(db, hookId, secret);
  await recordInstalled(db, hookId, {
    runId: 'a run',
    outcome: 'installed',
    secretId: secret.secretId,
    gitlabHookId: ++count,
    alertStatus: 'executable',
    disabledUntil: null,
    at: at(0),
    dueAt: at(24 * 60),
    ...changes,
  });
  return secret;
}

export async function block(
  db: ForgeflowDatabase,
  hookId: string,
  changes: Partial<NotInstalledHook> = {},
): Promise<void> {
  await recordNotInstalled(db, hookId, {
    runId: 'a run',
    outcome: 'blocked',
    state: 'no_access',
    reason: 'our account has access level 30',
    at: at(0),
    dueAt: at(60),
    ...changes,
  });
}

export async function hookRow(db: ForgeflowDatabase, id: string) {
  return db.selectFrom('gitlab_hooks').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}
