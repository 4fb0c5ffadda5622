import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** The subscription's name. */
export const subscriptionKey = defineSearchAttributeKey('forgeflowSubscription', SearchAttributeType.KEYWORD);
/** The event's topic. */
export const topicKey = defineSearchAttributeKey('forgeflowTopic', SearchAttributeType.KEYWORD);
/**
 * Where the delivery stands: `pending`, `delivered`, `failed` or `cancelled`.
 *
 * It starts as `delivered` and is corrected as soon as a first attempt fails: most deliveries get through at once, and
 * a correction costs each of them an event of history and a write to the visibility store. A closed workflow always
 * tells the truth; while one is running in its first attempt, its execution status says so.
 */
export const stateKey = defineSearchAttributeKey('forgeflowState', SearchAttributeType.KEYWORD);

export const SEARCH_ATTRIBUTES = [subscriptionKey, topicKey, stateKey];
