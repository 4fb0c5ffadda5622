/** Workflows, and quick activities on the database. */
export const FORGEFLOW_QUEUE = 'forgeflow';
/** Outgoing webhooks, and the workflows of their batches: bounded, and able to run alone in a network of its own. */
export const EGRESS_QUEUE = 'egress';
/** Calls of GitLab's API. */
export const GITLAB_QUEUE = 'gitlab';
/** Clones, merges, indexing: few at a time. */
export const GIT_QUEUE = 'git';

/** Plugins, on machines that may be there for nothing else. */
export const CHECKS_QUEUE = 'checks';

export const TASK_QUEUES = [FORGEFLOW_QUEUE, EGRESS_QUEUE, GITLAB_QUEUE, GIT_QUEUE, CHECKS_QUEUE] as const;
export type TaskQueue = (typeof TASK_QUEUES)[number];
