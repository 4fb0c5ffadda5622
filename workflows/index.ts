// The bundle's entry: every workflow by the name that clients start it with.
export { deliverWebhook } from './deliver-webhook.ts';
export { deliverFirstAttempts } from './deliver-first-attempts.ts';
export { testSubscription } from './test-subscription.ts';
export { installGitLabWebhooks } from './install-gitlab-webhooks.ts';
export { syncGitLabRepositories } from './sync-gitlab-repositories.ts';
export { requestUpkeep } from './request-upkeep.ts';
export { sweepDeliveries } from './sweep-deliveries.ts';
export { trackRepository } from './track-repository.ts';
// Every other name is a kind of job.
export { default } from './jobs.ts';
