import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GitlabStatus } from '../../src/client/gitlab.ts';
import type { SystemStatus } from '../../src/client/status.ts';
import type { InstallResult, ListingResult } from '../../src/domain/install-run.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type Gitlab, startGitlab } from '../support/gitlab/index.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

let gitlab: Gitlab;
let environment: Environment;
let env: Record<string, string>;

beforeAll(async () => {
  gitlab = await startGitlab();
  gitlab.addProjects(8, gitlab.root, 'app');
  const settings = { GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.token, INGRESS_URL: 'https://hooks.example.com' };
  environment = await startEnvironment({ settings });
  env = { ...environment.variables, FORGEFLOW_HOME: mkdtempSync(join(tmpdir(), 'forgeflow-cli-')) };
});

afterAll(async () => {
  await environment.stop();
  await gitlab.close();
  rmSync(env['FORGEFLOW_HOME'] ?? '', { recursive: true });
});

// The order matters: each goes on from the state that the one before left.
describe('forgeflow gitlab', () => {
  test('status, before there was a run', async () => {
    expect(await forgeflowJson<GitlabStatus>(['gitlab', 'status'], env)).toEqual({
      lastRun: null,
      nextRunAt: null,
      repositories: {
        installed: 0,
        pending: 0,
        blocked: { not_found: 0, no_access: 0, invalid_credentials: 0, error: 0 },
        covered: 0,
        disabled: 0,
      },
      reasons: [],
      groups: [],
    });
    expect((await forgeflow(['gitlab', 'status'], env)).stdout).toContain('forgeflow schedules sync');
  });

  test('sync lists what GitLab has, and tells new from known', async () => {
    const first = await forgeflowJson<ListingResult>(['gitlab', 'sync'], env);
    expect(first).toEqual({ runId: first.runId, listed: 8, added: 8, endedEarly: null, retryAt: null });
    const { stdout } = await forgeflow(['gitlab', 'sync'], env);
    expect(stdout).toBe('GitLab listed 8 repositories, 0 of them new.');
  });

  test('G4: install that a rate limit ends says so, exits 0, and the table says when it goes on', async () => {
    gitlab.rateLimit.refuse({ at: gitlab.requestCount + 12, forSeconds: 60 });
    const { exitCode, stdout } = await forgeflow(['gitlab', 'install'], env);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/GitLab's rate limit is used up; it goes on after \d{4}-\d\d-\d\d .*still to be done/);
    expect(stdout).toMatch(/^WEBHOOKS +REPOSITORIES/m);
    expect(stdout).toMatch(/^pending +[1-9]/m);
    expect(stdout).toMatch(/^came to +installed \d+, remaining \d+$/m);
    const status = await forgeflowJson<GitlabStatus>(['gitlab', 'status'], env);
    expect(status.lastRun).toMatchObject({ endedEarly: 'rate_limited', error: null });
    expect(Date.parse(status.lastRun?.retryAt ?? '')).toBeGreaterThan(Date.now());
    expect(status.repositories.installed + status.repositories.pending).toBe(8);
    expect(status.lastRun?.remaining).toBe(status.repositories.pending);
  });

  test('install goes on and ends with nothing left; its JSON has the shape that cli.md gives', async () => {
    gitlab.rateLimit.allow();
    const before = await forgeflowJson<GitlabStatus>(['gitlab', 'status'], env);
    const result = await forgeflowJson<InstallResult>(['gitlab', 'install'], env);
    expect(result).toEqual({
      runId: result.runId,
      installed: before.repositories.pending - result.adopted,
      verified: 0,
      adopted: result.adopted,
      repaired: 0,
      covered: 0,
      blocked: 0,
      failed: 0,
      remaining: 0,
      endedEarly: null,
      retryAt: null,
    });
    const { lastRun, repositories } = await forgeflowJson<GitlabStatus>(['gitlab', 'status'], env);
    expect(lastRun).toMatchObject({ runId: result.runId, endedEarly: null, remaining: 0 });
    expect(repositories.installed).toBe(8);
  });

  test('install --repository sees to one, also to one that was never listed, and repairs it', async () => {
    const project = gitlab.addProject({ path: 'newcomer', group: gitlab.root });
    const first = await forgeflowJson<InstallResult>(['gitlab', 'install', '--repository', project.path], env);
    expect(first).toMatchObject({ installed: 1, verified: 0, remaining: 0 });
    for (const hook of gitlab.hooksOf(project)) gitlab.removeHook(hook);
    const again = await forgeflowJson<InstallResult>(['gitlab', 'install', '--repository', project.path], env);
    expect(again).toMatchObject({ installed: 0, repaired: 1 });
    expect(gitlab.hooksOf(project)).toHaveLength(1);
  });

  test('install --repository of one that is not there exits 3 and says what is not there', async () => {
    const { exitCode, stderr } = await forgeflow(['gitlab', 'install', '--repository', 'acme/nothing'], env);
    expect(exitCode).toBe(3);
    expect(stderr).toBe('error: there is no repository acme/nothing that our account sees');
    const empty = await forgeflow(['gitlab', 'install', '--repository', ' '], env);
    expect([empty.exitCode, empty.stderr]).toEqual([2, 'error: repository: it is empty']);
  });

  test('status says why what is blocked is blocked', async () => {
    const [project] = gitlab.addProjects(1, gitlab.root, 'short-lived');
    if (project === undefined) throw new Error('no project');
    await forgeflowJson(['gitlab', 'sync'], env);
    gitlab.deleteProject(project);
    await forgeflowJson(['gitlab', 'install', '--repository', project.path], env);
    const { stdout } = await forgeflow(['gitlab', 'status'], env);
    expect(stdout).toMatch(/^not_found +1 /m);
    expect(stdout).toMatch(/^BLOCKED BECAUSE +REPOSITORIES +ONE OF THEM\n.*acme\/short-lived/m);
  });

  test('install with a token that GitLab refuses exits 1 and names GITLAB_TOKEN', async () => {
    gitlab.revokeToken(gitlab.token);
    const { exitCode, stdout } = await forgeflow(['gitlab', 'install'], env);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('GitLab does not accept GITLAB_TOKEN');
    const result = await forgeflow(['gitlab', 'install', '--json'], env);
    expect(result.exitCode).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ endedEarly: 'invalid_credentials', retryAt: null });
  });

  test('schedules sync, and the schedule on the screen of status', async () => {
    const { stdout } = await forgeflow(['schedules', 'sync'], env);
    expect(stdout).toMatch(/^installGitLabWebhooks +unchanged +no$/m);
    expect(stdout).toMatch(/^sweepDeliveries +unchanged +no$/m);
    const status = await forgeflowJson<SystemStatus>(['status'], env);
    expect(status.schedules).toMatchObject([
      { schedule: 'installGitLabWebhooks', lastRun: 'completed' },
      { schedule: 'sweepDeliveries', paused: null },
      { schedule: 'upkeep', paused: null },
    ]);
    expect(status.queues?.map(({ queue }) => queue)).toContain('gitlab');
    expect((await forgeflow(['status'], env)).stdout).toMatch(/^SCHEDULE +LAST RUN +ENDED AS +NEXT RUN/m);
  });
});

test('without GITLAB_TOKEN the run fails with an error that names it, and so does the command', async () => {
  const other = await startEnvironment({
    settings: { GITLAB_URL: gitlab.url, INGRESS_URL: 'https://hooks.example.com' },
  });
  const { exitCode, stderr } = await forgeflow(['gitlab', 'install'], { ...env, ...other.variables });
  await other.stop();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^error: GITLAB_TOKEN: it is not set/);
});
