/** Workflows, and quick activities on the database. */
export const FORGEFLOW_QUEUE = 'forgeflow';
/** Outgoing webhooks: bounded, and able to run alone in a network of its own. */
export const EGRESS_QUEUE = 'egress';
/** Calls of GitLab's API. */
export const GITLAB_QUEUE = 'gitlab';
/** Clones, merges, indexing: few at a time. */
export const GIT_QUEUE = 'git';

export const TASK_QUEUES = [FORGEFLOW_QUEUE, EGRESS_QUEUE, GITLAB_QUEUE, GIT_QUEUE] as const;
export type TaskQueue = (typeof TASK_QUEUES)[number];
