import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { execa } from 'execa';
import pc from 'picocolors';
import type { EnqueuedJob } from '../../../src/client/jobs.ts';
import type { MergeRequestStatus } from '../../../src/client/repositories.ts';
import { chapter, claim } from '../console.ts';
import type { Stage } from '../stage.ts';

const BURST = 200;

/** A repository with real commits, tracked: its index, a merge request, and a burst of triggers. */
export async function followRepository(stage: Stage): Promise<void> {
  const { forgeflow, gitlab, repositories, system, until } = stage;
  const project = repositories[100]!;
  chapter(`${project.path}, a real git repository, is tracked`);
  const directory = resolve(system.config.home, 'git', `${project.name}.git`);
  await mkdir(directory, { recursive: true });
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch', project.defaultBranch, directory]);
  gitlab.serveGit(project, directory);
  await gitlab.commit(project, { files: { 'README.md': '# Kiln\n', 'src/kiln.ts': kiln(900) } });

  const { id } = await forgeflow.repositories.add(project.path);
  const show = () => forgeflow.repositories.show(project.path);
  await until(async () => (await show()).index !== null);
  const { results } = await forgeflow.search('glaze temperature', { repository: project.path });
  const [hit] = results;
  claim(
    `cloned and indexed; a search for "glaze temperature" finds ${hit?.path ?? 'nothing'}:${hit?.line ?? '?'} ${pc.dim(hit?.excerpt ?? '')}`,
    hit?.path === 'src/kiln.ts' && hit.line === 2,
  );

  await gitlab.commit(project, { branch: 'hotter', files: { 'src/kiln.ts': kiln(1_200) } });
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter', title: 'Fire it hotter' });
  const seen = await whenIts(({ mergeState }) => mergeState !== 'unknown');
  claim(
    `a merge request is opened, and its trial merge says: ${seen.mergeState}, ${seen.ahead} ahead`,
    seen.mergeState === 'clean' && seen.ahead === 1,
  );
  await gitlab.commit(project, { files: { 'src/kiln.ts': kiln(600) } });
  const conflicting = await whenIts(({ mergeState }) => mergeState === 'dirty');
  claim(`somebody pushes to ${project.defaultBranch}, and it is: ${conflicting.mergeState}`, !conflicting.mergeable);
  await gitlab.approve(mergeRequest, gitlab.addUser({ username: 'bo' }));
  const approved = await whenIts(({ reviewDecision }) => reviewDecision === 'approved');
  claim(`somebody approves, and it is: ${approved.reviewDecision}`, true);

  chapter(`${BURST} triggers of one job at once, the last of which knows the newest commit`);
  const burst: Promise<EnqueuedJob>[] = [];
  for (let i = 1; i < BURST; i++) burst.push(forgeflow.enqueue('reindex_search', { repositoryId: id }));
  const newest = await gitlab.commit(project, { files: { 'NEWS.md': 'fired\n' } });
  burst.push(forgeflow.enqueue('reindex_search', { repositoryId: id }));
  const answers = await Promise.all(burst);
  const started = answers.filter(({ deduped }) => !deduped).length;
  await until(async () => (await show()).index?.commit === newest);
  await until(async () => (await forgeflow.jobs.list({ state: 'running', kind: 'reindex_search' })).length === 0);
  const runs = (await forgeflow.jobs.list({ kind: 'reindex_search' })).length;
  claim(
    `${BURST - started} of ${BURST} were folded into a job that was active; the index is of the newest commit`,
    started < BURST / 4 && started <= runs,
  );

  async function whenIts(condition: (mergeRequest: MergeRequestStatus) => boolean): Promise<MergeRequestStatus> {
    let found: MergeRequestStatus | undefined;
    await until(async () => {
      [found] = (await show()).mergeRequests;
      return found !== undefined && condition(found);
    });
    return found!;
  }
}

/** A file with one line that matters. */
function kiln(temperature: number): string {
  return `// Degrees Celsius, by what is fired.\nexport const glazeTemperature = ${temperature};\n`;
}
