import type { Environment } from './environment.ts';
import type { Gitlab } from './gitlab/index.ts';
import type { Scenarios } from './history-scenario.ts';

/** What goes through GitLab: installations of webhooks, and the listing of its repositories. */
export const gitlabScenarios: Scenarios<Pick<Environment, 'forgeflow'> & { gitlab: Gitlab }> = {
  async 'install-gitlab-webhooks'({ forgeflow, gitlab }) {
    gitlab.addProjects(3);
    return { workflowId: await workflowOf(forgeflow, await forgeflow.installWebhooks()) };
  },
  async 'install-gitlab-webhooks-rate-limited'({ forgeflow, gitlab }) {
    gitlab.addProjects(5, gitlab.root, 'limited');
    gitlab.rateLimit.refuse({ at: 10, forSeconds: 60 });
    const result = await forgeflow.installWebhooks();
    gitlab.rateLimit.allow();
    return { workflowId: await workflowOf(forgeflow, result) };
  },
  async 'install-gitlab-webhooks-continued-as-new'({ forgeflow, gitlab }) {
    gitlab.addProjects(300, gitlab.root, 'many');
    const result = await forgeflow.installWebhooks();
    return { workflowId: await workflowOf(forgeflow, result), runId: result.runId };
  },
  async 'install-gitlab-webhooks-of-one-repository'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'alone' });
    return { workflowId: await workflowOf(forgeflow, await forgeflow.installWebhooks({ repository: path })) };
  },
  async 'install-gitlab-webhooks-failed'({ forgeflow }) {
    await forgeflow.installWebhooks({ repository: 'acme/nothing' }).catch(() => undefined);
    return { workflowId: 'installGitLabWebhooks/repository/acme/nothing' };
  },
  async 'sync-gitlab-repositories'({ forgeflow }) {
    await forgeflow.gitlab.sync();
    return { workflowId: 'syncGitLabRepositories' };
  },
};

async function workflowOf({ temporal }: Environment['forgeflow'], { runId }: { runId: string }): Promise<string> {
  for (;;) {
    for await (const { workflowId } of temporal.workflow.list({ query: `RunId = '${runId}'` })) return workflowId;
    await new Promise((resolve) => setTimeout(resolve, 100)); // the list lags a little
  }
}
