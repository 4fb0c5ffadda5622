import { setCurrentDetails } from '@temporalio/workflow';
import type { RequestedUpkeep } from '../activities/upkeep.ts';
import { upkeep } from './proxies.ts';

/** Asks, once a day, for whatever an event may have been missed of: listings, permissions, emails. */
export async function requestUpkeep(): Promise<RequestedUpkeep> {
  const now = new Date().toISOString();
  const requested = await upkeep.requestUpkeep(now);
  setCurrentDetails(describeUpkeep(requested));
  return requested;
}

function describeUpkeep({ listings, repositories, authors, users }: RequestedUpkeep): string {
  return `asked for: listings **${listings}**, permissions in repositories **${repositories}**, of users **${users}**, commits of users **${authors}**`;
}
