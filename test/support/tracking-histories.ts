import type { Environment } from './environment.ts';
import type { Gitlab } from './gitlab/index.ts';
import type { Scenarios } from './history-scenario.ts';

/** Repositories that are tracked from now on. */
export const trackingScenarios: Scenarios<Pick<Environment, 'forgeflow'> & { gitlab: Gitlab }> = {
  async 'track-repository'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'tracked' });
    await forgeflow.repositories.add(path);
    return { workflowId: `trackRepository/${path}` };
  },
  async 'track-repository-rate-limited'({ forgeflow, gitlab }) {
    const { path } = gitlab.addProject({ path: 'later' });
    gitlab.rateLimit.refuse({ forSeconds: 60 });
    await forgeflow.repositories.add(path, { requiredApprovals: 2 }).catch(() => undefined);
    gitlab.rateLimit.allow();
    return { workflowId: `trackRepository/${path}?required_approvals=2` };
  },
};
