// GitLab's stand-in in a process of its own. See install-gitlab.ts.
import { startGitlab } from '../../test/support/gitlab/index.ts';
import type { BenchGitlabAnswers, GitlabSize } from './install-gitlab.ts';
import { answerQuestions, programSettings } from './program.ts';

const { repositories, warmUp, latencyMs } = programSettings() as GitlabSize;
const gitlab = await startGitlab({ latencyMs, loggedRequests: 0 });
const projects = gitlab.addProjects(warmUp, gitlab.root, 'warm-up');

answerQuestions<BenchGitlabAnswers>({
  grow() {
    projects.push(...gitlab.addProjects(repositories));
    return null;
  },
  address: () => ({ url: gitlab.url, token: gitlab.token }),
  requests() {
    const { requestCount } = gitlab;
    gitlab.forgetRequests();
    return requestCount;
  },
  withOneHook: () => projects.filter((project) => gitlab.hooksOf(project).length === 1).length,
});
