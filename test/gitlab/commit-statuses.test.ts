import { expect, test } from 'vitest';
import { GitlabForbidden, GitlabInvalidCredentials, GitlabNotFound, GitlabRejected } from '../../src/gitlab/errors.ts';
import { DEVELOPER, type Project, REPORTER } from '../support/gitlab/index.ts';
import { ask } from './stand-in/api.ts';
import { clientWith, withGitlab } from './with-gitlab.ts';

const now = withGitlab();
const PENDING = { name: 'forgeflow', state: 'pending', description: '1 check is under way' } as const;

async function commitIn(project: Project): Promise<{ gitlabProjectId: number; sha: string }> {
  const sha = 'c'.repeat(40);
  await now.gitlab.push(project, { to: sha });
  return { gitlabProjectId: project.id, sha };
}

/** The statuses that GitLab shows of a commit, as `name status description`. */
async function shown({ gitlabProjectId, sha }: { gitlabProjectId: number; sha: string }): Promise<string[]> {
  const { body } = await ask(now.gitlab, `GET /projects/${gitlabProjectId}/repository/commits/${sha}/statuses`);
  return (body as Record<string, string>[]).map(({ name, status, description }) => `${name} ${status} ${description}`);
}

test('U4: a status goes from pending to its end, and back to pending when its checks are run anew', async () => {
  const { client, gitlab } = now;
  const commit = await commitIn(gitlab.addProject({ path: 'kiln' }));
  await client.postCommitStatus(commit, PENDING);
  expect(await shown(commit)).toEqual(['forgeflow pending 1 check is under way']);
  await client.postCommitStatus(commit, { ...PENDING, state: 'failure', description: '2 issues detected' });
  expect(await shown(commit)).toEqual(['forgeflow failed 2 issues detected']);
  await client.postCommitStatus(commit, PENDING);
  await client.postCommitStatus(commit, { ...PENDING, name: 'forgeflow/coverage', state: 'success' });
  expect(await shown(commit)).toEqual([
    'forgeflow pending 1 check is under way',
    'forgeflow/coverage success 1 check is under way',
  ]);
  expect(await client.commitStatuses(commit)).toMatchObject([
    { context: 'forgeflow', state: 'pending' },
    { context: 'forgeflow/coverage', state: 'success' },
  ]);
  expect(gitlab.unknownParameters).toEqual([]);
});

test('U4: told twice that it is pending, GitLab refuses the second, and that is no fault; the end twice is the same end', async () => {
  const { client, gitlab } = now;
  const commit = await commitIn(gitlab.addProject({ path: 'kiln' }));
  await client.postCommitStatus(commit, PENDING);
  await client.postCommitStatus(commit, { ...PENDING, description: 'another' });
  expect(await shown(commit)).toEqual(['forgeflow pending 1 check is under way']);
  const end = { ...PENDING, state: 'error', description: 'lint hung' } as const;
  await client.postCommitStatus(commit, end);
  await client.postCommitStatus(commit, end);
  expect(await shown(commit)).toEqual(['forgeflow failed lint hung']);
});

test('U4, bad input: a commit that is not there, or in no branch; a description that is too long', async () => {
  const { client, gitlab } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const commit = await commitIn(project);
  await expect(client.postCommitStatus({ ...commit, sha: 'd'.repeat(40) }, PENDING)).rejects.toThrow(GitlabNotFound);
  await expect(client.postCommitStatus({ ...commit, gitlabProjectId: 99 }, PENDING)).rejects.toThrow(GitlabNotFound);
  const long = { ...PENDING, description: '\u{1f3fa}'.repeat(256) };
  await expect(client.postCommitStatus(commit, long)).rejects.toThrow(GitlabRejected);
  await client.postCommitStatus(commit, { ...PENDING, description: '\u{1f3fa}'.repeat(255) });
});

test('U4: it takes a Developer, and a token that may write', async () => {
  const { gitlab } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const commit = await commitIn(project);
  const post = async (level: number, scope: 'api' | 'read_api') => {
    const user = gitlab.addUser({ username: `user-${level}-${scope.replace('_', '-')}` });
    gitlab.addMember(project, user, level);
    const client = clientWith(gitlab, gitlab.addToken(user, { scopes: [scope] }).value);
    await client.postCommitStatus(commit, PENDING).finally(() => client.close());
  };
  await expect(post(REPORTER, 'api')).rejects.toThrow(GitlabForbidden);
  await expect(post(DEVELOPER, 'read_api')).rejects.toThrow(GitlabInvalidCredentials);
  await post(DEVELOPER, 'api');
});
