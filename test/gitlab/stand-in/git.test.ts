import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DEVELOPER, GUEST, type GitlabOptions } from '../../support/gitlab/index.ts';
import { createRepository, temporaryFolder, TEST_ENVIRONMENT } from '../../support/git-repository.ts';
import { startReceiver } from '../../support/receiver.ts';
import { gitlabForTest } from './api.ts';

async function scene(options?: GitlabOptions) {
  const gitlab = await gitlabForTest(options);
  const folder = await temporaryFolder();
  onTestFinished(async () => folder.remove());
  const repository = await createRepository(join(folder.path, 'kiln.git'));
  const [first] = await repository.commit({ ref: 'refs/heads/main', tree: { a: 'a\n' } });
  const project = gitlab.addProject({ path: 'kiln', git: repository.directory });
  /** As git itself sees it. */
  const clone = async (token: string | null = gitlab.token, path = 'acme/kiln') => {
    const url = new URL(`${gitlab.url}/${path}.git`);
    if (token !== null) Object.assign(url, { username: 'anyone', password: token });
    const env = { ...TEST_ENVIRONMENT, GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: 'true' };
    const { stdout, stderr } = await execa('git', ['ls-remote', url.href], { env, reject: false });
    return { refs: stdout.split('\n').map((line) => line.split('\t').reverse().join(' ')), stderr };
  };
  return { gitlab, folder, repository, project, first: first!, clone };
}

describe("a project's repository", () => {
  test('is there for who has a token that may read it, whatever the name it goes with', async () => {
    const { gitlab, clone, first } = await scene({ relativeUrlRoot: '/gitlab' });
    expect((await clone()).refs).toEqual([`HEAD ${first}`, `refs/heads/main ${first}`]);
    const { value } = gitlab.addToken(gitlab.bot, { scopes: ['read_repository'] });
    expect((await clone(value)).refs).toHaveLength(2);
    expect(gitlab.gitRequests[0]).toMatchObject({
      method: 'GET',
      path: '/acme/kiln.git/info/refs?service=git-upload-pack',
      status: 401,
    });
    expect(gitlab.gitRequests[1]).toMatchObject({ status: 200 });
    expect(gitlab.requests).toEqual([]);
  });

  test('is not for others: 401 without a token or with a bad one, 404 for what the account does not see', async () => {
    const { gitlab, project, clone } = await scene();
    const stranger = gitlab.addUser({ username: 'stranger' });
    const token = gitlab.addToken(stranger);
    const last = () => gitlab.gitRequests.at(-1)?.status;
    const refused = async (...which: Parameters<typeof clone>) => {
      expect((await clone(...which)).refs).toEqual(['']);
      return last();
    };
    expect(await refused(null)).toBe(401);
    expect(await refused('glpat-wrong')).toBe(401);
    expect(await refused(null, 'acme/none')).toBe(401);
    expect(await refused(gitlab.token, 'acme/none')).toBe(404);
    expect(await refused(token.value)).toBe(404);
    gitlab.addMember(project, stranger, GUEST);
    expect(await refused(token.value)).toBe(403);
    gitlab.addMember(project, stranger, DEVELOPER);
    expect((await clone(token.value)).refs).toHaveLength(2);
    expect(await refused(gitlab.addToken(stranger, { scopes: ['read_api'] }).value)).toBe(401);
    gitlab.revokeToken(token.value);
    expect(await refused(token.value)).toBe(401);
    gitlab.addProject({ path: 'without' });
    expect(await refused(gitlab.token, 'acme/without')).toBe(404);
  });

  test('moves with its project, and a public one is there for all', async () => {
    const { gitlab, project, clone } = await scene();
    gitlab.moveProject(project, 'acme/oven');
    expect((await clone(gitlab.token, 'acme/oven')).refs).toHaveLength(2);
    expect((await clone(null)).refs).toEqual(['']);
    gitlab.changeProject(project, { visibility: 'public' });
    expect((await clone(null, 'acme/oven')).refs).toHaveLength(2);
  });

  test('has the head of each merge request under its number, from a fork too, and after a push', async () => {
    const { gitlab, folder, repository, project, first, clone } = await scene();
    const [second] = await repository.commit({ ref: 'refs/heads/hotter', parents: [0], tree: { a: 'b\n' } });
    const own = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
    expect(own.headSha).toBe(second);
    const forked = await createRepository(join(folder.path, 'fork.git'));
    const [third] = await forked.commit({ ref: 'refs/heads/other', tree: { c: 'c\n' } });
    const fork = gitlab.addProject({ path: 'fork', git: forked.directory, forkedFrom: project });
    await gitlab.openMergeRequest(project, { source: fork, sourceBranch: 'other' });
    const [fourth] = await repository.commit({ ref: 'refs/heads/hotter', parents: [0, 1], tree: { a: 'd\n' } });
    expect((await clone()).refs).toContain(`refs/merge-requests/1/head ${second}`);
    await gitlab.push(project, { branch: 'hotter' });
    expect((await clone()).refs).toEqual([
      `HEAD ${first}`,
      `refs/heads/hotter ${fourth}`,
      `refs/heads/main ${first}`,
      `refs/merge-requests/1/head ${fourth}`,
      `refs/merge-requests/2/head ${third}`,
    ]);
    expect(own.headSha).toBe(fourth);
    await expect(gitlab.openMergeRequest(project, { sourceBranch: 'none' })).rejects.toThrow('no branch none');
  });

  test('takes a commit as a person makes it, and hooks are told of the push', async () => {
    const { gitlab, repository, project, first } = await scene();
    const receiver = await startReceiver();
    onTestFinished(async () => receiver.close());
    gitlab.addHook(project, { url: receiver.url });
    const sha = await gitlab.commit(project, { branch: 'new', files: { 'd/ü "x".txt': 'x\n', a: null } });
    expect(await repository.git('log', '--format=%H %P', 'new')).toBe(`${sha} ${first}\n${first} `);
    expect(await repository.git('show', `${sha}:d/ü "x".txt`)).toBe('x');
    await expect(repository.git('show', `${sha}:a`)).rejects.toThrow();
    const next = await gitlab.commit(project, { branch: 'new', files: { b: 'b\n' }, message: 'more' });
    const [one, two] = (await receiver.waitForRequests(2)).map(({ rawBody }) => JSON.parse(String(rawBody)) as unknown);
    expect(one).toMatchObject({ ref: 'refs/heads/new', before: '0'.repeat(40), after: sha });
    expect(two).toMatchObject({ before: sha, after: next });
  });
});
