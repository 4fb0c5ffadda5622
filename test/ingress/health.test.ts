import { expect, test } from 'vitest';
import { migrateDown, migrateUp } from '../../src/database/migrate.ts';
import { postAsGitlab, startTestIngress } from './ingress.ts';
import { PUSH } from '../support/gitlab-payloads.ts';

test('E13: /readyz says what is missing where the schema is older than the program', async () => {
  const ingress = await startTestIngress();
  /** @returns the names of the migrations that were taken back, the oldest first */
  const migrateBackBefore = async (name: string): Promise<string[]> => {
    const taken: string[] = [];
    while (taken[0] !== name) taken.unshift(...(await migrateDown(ingress.database.db)).map((one) => one.name));
    return taken;
  };
  const ready = async () => {
    const response = await fetch(`${ingress.url}/readyz`);
    return { status: response.status, body: await response.json() };
  };
  expect(await ready()).toEqual({ status: 200, body: { ready: true } });

  const taken = await migrateBackBefore('20261126-gitlab-webhooks');
  expect(await ready()).toEqual({
    status: 503,
    body: { error: `the database lacks ${taken.join(', ')}; run "forgeflow migrate"` },
  });
  // Whose token that is cannot be looked up there; "wrong token" would be a reason for GitLab to disable the hook.
  const installed = { 'X-Gitlab-Token': 'that of an installed hook' };
  expect(await postAsGitlab(ingress, PUSH.body, installed)).toMatchObject({ status: 503 });
  expect((await fetch(`${ingress.url}/healthz`)).status).toBe(200);

  await migrateUp(ingress.database.db);
  expect(await ready()).toMatchObject({ status: 200 });
  expect(await postAsGitlab(ingress, PUSH.body)).toMatchObject({ status: 202 });
  // Asked for every few seconds: no line for each of these.
  expect(ingress.log.filter(({ meta }) => meta['route'] === '/healthz')).toEqual([]);
  await ingress.stop();
});
