import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import type { Project } from '../../../test/support/gitlab/index.ts';
import { chapter, claim } from '../console.ts';
import type { Stage } from '../stage.ts';

const MANIFEST = `version: 1
coverage: { min_percent: 80 }
checks: [{ plugin: todo }]
`;

/** From a push to the statuses in GitLab, with a coverage report before it; and then all of the repository goes. */
export async function processPush(stage: Stage): Promise<void> {
  const { forgeflow, gitlab, repositories, until } = stage;
  const project = repositories[100]!;
  const { id } = await forgeflow.repositories.show(project.path);
  const statuses = (sha: string) => statusesOf(stage, project, sha);
  const desk = await startDesk(stage, project);

  chapter(`A push to ${project.path} is looked at: checks, coverage, statuses`);
  const { token } = await forgeflow.repositories.createToken(project.path);
  const first = await desk.commit({ '.forgeflow.yaml': MANIFEST, 'oven.js': 'heat();\n// TODO: measure it\n' });
  const sent = await sendCoverage(stage, { id, sha: first, token, hits: [1, 0] });
  claim(
    `its CI sends the coverage of a commit that is not pushed yet: ${sent.status}, ${sent.state}`,
    sent.state === 'held',
  );
  await desk.push();
  await until(async () => {
    const found = await statuses(first);
    return found.length === 2 && found.every((text) => !text.includes('pending'));
  });
  const bad = await statuses(first);
  claim(
    `the commit comes, and GitLab shows: ${bad.join('; ')}`,
    bad.includes('forgeflow failed (1 issue detected)') &&
      bad.includes('forgeflow/coverage failed (50% covered (at least 80% is required))'),
  );

  const second = await desk.commit({ 'oven.js': 'heat();\ncool();\n' });
  await desk.push();
  await sendCoverage(stage, { id, sha: second, token, hits: [1, 1] });
  await until(async () => (await statuses(second)).filter((text) => text.includes('success')).length === 2);
  claim(`that is mended: ${(await statuses(second)).join('; ')}`, true);

  chapter('It is removed');
  await forgeflow.repositories.remove(project.path);
  const tracked = (await forgeflow.repositories.list()).length;
  const hooks = gitlab.hooksOf(project).length;
  claim(`its rows, clone and index are gone, its jobs, and its webhook in GitLab`, tracked === 0 && hooks === 0);
}

/** A developer's work tree. */
async function startDesk({ system, gitlab }: Stage, project: Project) {
  const place = resolve(system.config.home, 'desk');
  await mkdir(place, { recursive: true });
  const identity = { GIT_AUTHOR_NAME: 'Ada', GIT_AUTHOR_EMAIL: 'ada@example.com' };
  const env = { ...identity, GIT_COMMITTER_NAME: 'Ada', GIT_COMMITTER_EMAIL: 'ada@example.com' };
  const git = (...args: string[]) => execa('git', args, { cwd: place, env });
  await git('clone', '--quiet', resolve(system.config.home, 'git', `${project.name}.git`), '.');
  return {
    /** @returns the commit, which GitLab does not have yet */
    async commit(files: Record<string, string>): Promise<string> {
      for (const [path, content] of Object.entries(files)) await writeFile(join(place, path), content);
      await git('add', '.');
      await git('commit', '--quiet', '--message', 'Work on the oven');
      return (await git('rev-parse', 'HEAD')).stdout;
    },
    async push(): Promise<void> {
      await git('push', '--quiet', 'origin', project.defaultBranch);
      await gitlab.push(project);
    },
  };
}

async function sendCoverage(
  { system }: Stage,
  { id, sha, token, hits }: { id: number; sha: string; token: string; hits: number[] },
): Promise<{ status: number; state: string }> {
  const lines = hits.map((count, at) => `DA:${at + 1},${count}\n`).join('');
  const answer = await fetch(`${system.addresses.ingressUrl}/repositories/${id}/coverage?sha=${sha}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: `SF:oven.js\n${lines}end_of_record\n`,
  });
  const { state } = (await answer.json()) as { state: string };
  return { status: answer.status, state };
}

/** As GitLab has them: the last of each name. */
async function statusesOf({ gitlab }: Stage, project: Project, sha: string): Promise<string[]> {
  const url = `${gitlab.url}/api/v4/projects/${project.id}/repository/commits/${sha}/statuses`;
  const answer = await fetch(url, { headers: { 'PRIVATE-TOKEN': gitlab.token } });
  const found = (await answer.json()) as { id: number; name: string; status: string; description: string }[];
  const last = new Map(
    [...found].sort((one, other) => one.id - other.id).map((status) => [status.name, status] as const),
  );
  return [...last.values()].map(({ name, status, description }) => `${name} ${status} (${description})`).sort();
}
