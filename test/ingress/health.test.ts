import { expect, test } from 'vitest';
import { migrateDown, migrateUp } from '../../src/database/migrate.ts';
import { postAsGitlab, startTestIngress } from './ingress.ts';
import { PUSH } from '../support/gitlab-payloads.ts';

test('E13: /readyz says what is missing where the schema is older than the program', async () => {
  const ingress = await startTestIngress();
  const ready = async () => {
    const response = await fetch(`${ingress.url}/readyz`);
    return { status: response.status, body: await response.json() };
  };
  expect(await ready()).toEqual({ status: 200, body: { ready: true } });

  const [taken] = await migrateDown(ingress.database.db);
  expect(await ready()).toEqual({
    status: 503,
    body: { error: `the database lacks ${taken?.name}; run "forgeflow migrate"` },
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
