import { type Gitlab, type Project, startGitlab } from '../../test/support/gitlab/index.ts';

/** How long GitLab takes for an answer: so that a person can watch. */
const LATENCY_MS = 10;

const TEAMS = { web: 90, backend: 80, mobile: 50, data: 30 };

/** A GitLab of an organisation with 250 repositories in four groups. It is a stand-in; what is said to it is real HTTP. */
export async function startOrganisation(): Promise<{ gitlab: Gitlab; repositories: readonly Project[] }> {
  const gitlab = await startGitlab({ latencyMs: LATENCY_MS });
  const repositories = Object.entries(TEAMS).flatMap(([team, count]) => {
    const group = gitlab.addGroup({ path: team, parent: gitlab.root });
    return Array.from({ length: count }, (_, index) =>
      gitlab.addProject({ path: `${team}-${String(index + 1).padStart(2, '0')}`, group }),
    );
  });
  return { gitlab, repositories };
}
