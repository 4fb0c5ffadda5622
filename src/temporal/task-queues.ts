/** Workflows, and quick activities on the database. */
export const FORGEFLOW_QUEUE = 'forgeflow';
/** Outgoing webhooks: bounded, and able to run alone in a network of its own. */
export const EGRESS_QUEUE = 'egress';
/** Calls of GitLab's API. */
export const GITLAB_QUEUE = 'gitlab';

export const TASK_QUEUES = [FORGEFLOW_QUEUE, EGRESS_QUEUE, GITLAB_QUEUE] as const;
export type TaskQueue = (typeof TASK_QUEUES)[number];
