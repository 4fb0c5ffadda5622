// The entry of the bench's workflow bundle: forgeflow's own workflow as it is, and what it is measured against.
export { deliverWebhook } from '../../workflows/deliver-webhook.ts';
export { bareWorkflow } from './bare-workflow.ts';
export { deliverByLocalActivity } from './local-activity-workflow.ts';
