import { sql } from 'kysely';
import { expect } from 'vitest';
import { historyText } from './history.ts';
import type { InstallerEnvironment } from './gitlab-installer.ts';

/** Every token that GitLab was told of, or asked for, in the requests that the stand-in remembers. */
function secretsOf({ gitlab }: InstallerEnvironment): string[] {
  const sent = gitlab.requests.flatMap(({ body }) => /"token":"([^"]+)"/.exec(body)?.[1] ?? []);
  return [gitlab.token, ...sent];
}

/** None of them stands in a history, in a record, or in what else is given, such as logs. */
export async function assertNoSecretShows(world: InstallerEnvironment, texts: readonly string[] = []): Promise<void> {
  const { temporal } = world.forgeflow;
  const shown = [...texts];
  let histories = 0;
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    shown.push(await historyText(temporal.workflow.getHandle(workflowId, runId)));
    histories++;
  }
  expect(histories).toBeGreaterThan(0);
  for (const table of ['gitlab_hooks', 'gitlab_runs', 'repositories', 'gitlab_groups', 'gitlab_listings']) {
    const { rows } = await sql`select to_jsonb(t)::text as row from ${sql.table(table)} t`.execute(world.db);
    shown.push(JSON.stringify(rows));
  }
  const secrets = secretsOf(world);
  expect(secrets.length).toBeGreaterThan(1);
  const all = shown.join('\n');
  expect(secrets.filter((secret) => all.includes(secret)).length).toBe(0);
}
