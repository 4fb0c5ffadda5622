// The entry of the bench's workflow bundle: forgeflow's own workflows as they are, and what they are measured against.
export { deliverFirstAttempts } from '../../workflows/deliver-first-attempts.ts';
export { deliverWebhook } from '../../workflows/deliver-webhook.ts';
export { bareWorkflow } from './bare-workflow.ts';
export { deliverByLocalActivity } from './local-activity-workflow.ts';
