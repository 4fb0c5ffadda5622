import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/git-repository.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let environment: MergeEnvironment;
beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'bin'));
  environment = await startMergeEnvironment({ settings: { PATH: join(folder.path, 'bin') } });
});
afterAll(async () => {
  await environment.stop();
  await folder.remove();
});

test('J5, bad input: without git its jobs say so and wait, the others go on; once it is installed they are done', async () => {
  const { gitlab, forgeflow } = environment;
  const { project, repository } = await environment.serve('shop');
  await repository.git('branch', 'topic', 'main');
  const reviewer = gitlab.addUser({ username: 'reviewer' });
  await gitlab.openMergeRequest(project, { sourceBranch: 'topic', reviewers: [reviewer] });
  const { id } = await forgeflow.repositories.add(project.path);
  // What only asks GitLab goes on.
  const opened = await eventually(async () => {
    const [found] = (await forgeflow.repositories.show(project.path)).mergeRequests;
    expect(found).toMatchObject({ reviewDecision: 'review_required', mergeState: 'unknown' });
    return found!;
  });
  for (const jobId of [`recompute_mergeability/mr/${opened.id}`, `reindex_search/repo/${id}`]) {
    await eventually(async () => {
      const { raw } = await forgeflow.temporal.workflow.getHandle(jobId).describe();
      const [pending] = raw.pendingActivities ?? [];
      expect(pending?.lastFailure?.message).toBe('the program git was not found');
    });
  }
  for (const program of ['git', 'sh', 'cat', 'flock'])
    await symlink((await execa('which', [program])).stdout, join(folder.path, 'bin', program));
  await eventually(async () => {
    const { index, mergeRequests } = await forgeflow.repositories.show(project.path);
    expect(index).not.toBeNull();
    expect(mergeRequests).toMatchObject([{ mergeState: 'clean' }]);
  }, 40_000);
});
