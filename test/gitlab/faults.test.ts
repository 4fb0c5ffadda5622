import { expect, test } from 'vitest';
import { GitlabBadAnswer, GitlabInvalidCredentials, GitlabUnavailable } from '../../src/gitlab/errors.ts';
import { hookBody } from './hook-body.ts';
import { at, clientWith, withGitlab } from './with-gitlab.ts';

const now = withGitlab();

test('G7: a token that is revoked, or lacks the scope, or whose account is blocked, is no credential', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const reading = clientWith(gitlab, gitlab.addToken(gitlab.bot, { scopes: ['read_api'] }).value);
  await expect(reading.createHook(at(project), hookBody())).rejects.toBeInstanceOf(GitlabInvalidCredentials);
  await expect(clientWith(gitlab, 'glpat-unknown').currentUser()).rejects.toBeInstanceOf(GitlabInvalidCredentials);
  gitlab.blockUser(gitlab.bot);
  await expect(client.currentUser()).rejects.toBeInstanceOf(GitlabInvalidCredentials);
  gitlab.blockUser(gitlab.bot, false);
  expect(await client.currentUser()).toEqual({ id: gitlab.bot.id, username: gitlab.bot.username });
  gitlab.revokeToken(gitlab.token);
  await expect(client.currentUser()).rejects.toBeInstanceOf(GitlabInvalidCredentials);
});

test('G4: the limit of the API ends with a time to go on', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  gitlab.rateLimit.set({ limit: 3, windowMs: 60_000 });
  for (let n = 0; n < 3; n++) await client.listHooks(at(project));
  const failing = client.listHooks(at(project));
  await expect(failing).rejects.toMatchObject({ name: 'GitlabRateLimited', scope: 'api' });
  await expect(failing).rejects.toHaveProperty('retryAt', expect.any(Date));
});

test.each([
  ['reset', GitlabUnavailable, 0],
  ['html', GitlabBadAnswer, 0],
  ['lostAnswer', GitlabUnavailable, 1],
  ['truncated', GitlabBadAnswer, 1],
  ['brokenOff', GitlabBadAnswer, 1],
  [{ statusAfterWork: 502 }, GitlabUnavailable, 1],
  ['hangAfterWork', GitlabUnavailable, 1],
] as const)('G6: %o: the request is made once, and there are at most as many hooks', async (fault, kind, hooks) => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const active = gitlab.faults.add({ method: 'POST', fault });
  await expect(client.createHook(at(project), hookBody())).rejects.toBeInstanceOf(kind);
  expect(active.hits).toBe(1);
  expect(gitlab.hooksOf(project)).toHaveLength(hooks);
  gitlab.faults.clear();
});
