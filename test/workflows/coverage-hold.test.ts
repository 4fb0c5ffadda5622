import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { jobStatusQuery } from '../../workflows/messages.ts';
import { eventually } from '../support/eventually.ts';
import type { TestRepository } from '../support/git-repository.ts';
import type { Project } from '../support/gitlab/index.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';

const MINUTE_MS = 60_000;
const MANIFEST = 'version: 1\ncoverage: { min_percent: 95 }\n';
/** 94.2857% of its lines. */
const LCOV = `SF:a.txt\n${Array.from({ length: 35 }, (_, at) => `DA:${at + 1},${at < 33 ? 1 : 0}\n`).join('')}end_of_record\n`;

let environment: MergeEnvironment;
let project: Project;
let repository: TestRepository;
let id: number;
let token: string;
let made: Map<string, string>;
beforeAll(async () => {
  environment = await startMergeEnvironment();
  ({ project, repository } = await environment.serve('shop'));
  const { repositories } = environment.forgeflow;
  ({ id } = await repositories.add(project.path));
  ({ token } = await repositories.createToken(project.path));
  made = await makeCommits();
  await environment.forgeflow.installWebhooks({ repository: project.path });
});
afterAll(() => environment.stop());

const NAMES = ['after', 'early', 'too-early'];
/** Commits that somebody has made, and not pushed. */
async function makeCommits(): Promise<Map<string, string>> {
  const made = await repository.commit(
    ...NAMES.map((name) => ({
      ref: `refs/made/${name}`,
      parents: [0],
      tree: { '.forgeflow.yaml': MANIFEST, 'a.txt': name },
    })),
  );
  return new Map(NAMES.map((name, at) => [name, made[at] ?? '']));
}

async function send(sha: string): Promise<{ state: string }> {
  const url = `${environment.variables['INGRESS_URL'] ?? ''}/repositories/${id}/coverage?sha=${sha}`;
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: LCOV });
  expect(answer.status).toBe(202);
  return (await answer.json()) as { state: string };
}

const jobOf = (sha: string) => environment.forgeflow.temporal.workflow.getHandle(`processCoverage/repo/${id}/${sha}`);
const reportsOf = async (sha: string) =>
  (await environment.forgeflow.coverage.list(project.path)).filter((report) => report.sha === sha);
const untilWaiting = (sha: string) =>
  eventually(async () => {
    expect(await jobOf(sha).query(jobStatusQuery)).toMatchObject({
      waitsUntil: expect.any(String) as string,
      lastSaid: 'its commit has not come yet',
    });
  });
const branchOf = async (name: string) =>
  environment.database.db
    .selectFrom('branches')
    .select(['covered', 'total', 'coverage_sha'])
    .where('repository_id', '=', id)
    .where('name', '=', name)
    .executeTakeFirst();
const historyOf = async (branch: string) =>
  environment.database.db
    .selectFrom('coverage_history')
    .select(['covered', 'total'])
    .where('repository_id', '=', id)
    .where('branch', '=', branch)
    .execute();

/** What GitLab shows of the commit under `forgeflow/coverage`. */
async function statusOf(sha: string) {
  const { gitlab } = environment;
  const url = `${gitlab.url}/api/v4/projects/${project.id}/repository/commits/${sha}/statuses`;
  const answer = await fetch(url, { headers: { 'PRIVATE-TOKEN': gitlab.token } });
  const statuses = (await answer.json()) as { name: string; status: string; description: string }[];
  return statuses
    .filter(({ name }) => name === 'forgeflow/coverage')
    .map(({ status, description }) => `${status}: ${description}`);
}

const MISSED = 'failed: 94.29% covered (at least 95% is required)';

async function expectUsed(sha: string, branch: string): Promise<void> {
  await eventually(async () => {
    const [latest] = await reportsOf(sha);
    expect(latest).toMatchObject({ state: 'processed', problem: null, heldUntil: null });
    expect(await statusOf(sha)).toEqual([MISSED]);
  });
  expect(await branchOf(branch)).toEqual({ covered: 33, total: 35, coverage_sha: sha });
  expect(await historyOf(branch)).toEqual([{ covered: 33, total: 35 }]);
}

describe.concurrent('U5: a report that comes', () => {
  test('after its commit: is processed at once', async ({ expect: its }) => {
    const sha = made.get('after') ?? '';
    await environment.gitlab.push(project, { branch: 'after', to: sha });
    await eventually(async () => {
      const found = await environment.database.db
        .selectFrom('commits')
        .select('state')
        .where('sha', '=', sha)
        .execute();
      its(found).toEqual([{ state: 'completed' }]);
    });
    its(await send(sha)).toMatchObject({ state: 'queued' });
    await expectUsed(sha, 'after');
  });

  test('1 h 59 before its commit: is held, and used as soon as that comes', async ({ expect: its }) => {
    const sha = made.get('early') ?? '';
    its(await send(sha)).toMatchObject({ state: 'held' });
    await untilWaiting(sha);
    await fastForward(environment.forgeflow.temporal, jobOf(sha).workflowId, 119 * MINUTE_MS);
    its(await reportsOf(sha)).toMatchObject([{ state: 'held' }]);
    await environment.gitlab.push(project, { branch: 'early', to: sha });
    await expectUsed(sha, 'early');
    its(await jobOf(sha).result()).toMatchObject({ covered: 33, total: 35, isEnough: false });
  });

  test('2 h 01 before its commit: is dropped, visibly, and its commit has no coverage', async ({ expect: its }) => {
    const sha = made.get('too-early') ?? '';
    await send(sha);
    await untilWaiting(sha);
    await fastForward(environment.forgeflow.temporal, jobOf(sha).workflowId, 121 * MINUTE_MS);
    const problem = 'its commit did not come within 2 hours';
    its(await jobOf(sha).result()).toMatchObject({ summary: `dropped: ${problem}`, state: 'dropped' });
    its(await reportsOf(sha)).toMatchObject([{ state: 'dropped', problem, heldUntil: null }]);
    await environment.gitlab.push(project, { branch: 'too-early', to: sha });
    await eventually(async () => {
      const found = await environment.database.db
        .selectFrom('commits')
        .select('state')
        .where('sha', '=', sha)
        .execute();
      its(found).toEqual([{ state: 'completed' }]);
    });
    its(await branchOf('too-early')).toEqual({ covered: null, total: null, coverage_sha: null });
    its([await historyOf('too-early'), await statusOf(sha)]).toEqual([[], []]);
    // It may be sent again.
    its(await send(sha)).toMatchObject({ state: 'queued' });
    await expectUsed(sha, 'too-early');
  });
});
