import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** The subscription's name. */
export const subscriptionKey = defineSearchAttributeKey('forgeflowSubscription', SearchAttributeType.KEYWORD);
/** The names of the subscriptions that a batch of first attempts goes to. */
export const subscriptionsKey = defineSearchAttributeKey('forgeflowSubscriptions', SearchAttributeType.KEYWORD_LIST);
/** The event's topic. */
export const topicKey = defineSearchAttributeKey('forgeflowTopic', SearchAttributeType.KEYWORD);
/** The repository's path in GitLab. */
export const repositoryKey = defineSearchAttributeKey('forgeflowRepository', SearchAttributeType.KEYWORD);
/** Our id of the repository that a job belongs to. It stays when the repository is renamed, and no other one ever has it. */
export const repositoryIdKey = defineSearchAttributeKey('forgeflowRepositoryId', SearchAttributeType.KEYWORD);
/**
 * Where it stands. A run of the installer: `running`, `done`, `rate_limited`, `invalid_credentials` or `failed`. A delivery:
 * `pending`, `delivered`, `failed` or `cancelled`.
 *
 * A delivery starts as `delivered` and is corrected as soon as a first attempt fails: most deliveries get through at once, and
 * a correction costs each of them an event of history and a write to the visibility store. A closed workflow always
 * tells the truth; while one is running in its first attempt, its execution status says so.
 */
export const stateKey = defineSearchAttributeKey('forgeflowState', SearchAttributeType.KEYWORD);

export const SEARCH_ATTRIBUTES = [
  subscriptionKey,
  subscriptionsKey,
  topicKey,
  repositoryKey,
  repositoryIdKey,
  stateKey,
];
