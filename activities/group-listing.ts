import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabBadAnswer, GitlabNotFound } from '../src/gitlab/errors.ts';
import type { GitlabPlace } from '../src/gitlab/shapes.ts';

/** What GitLab says of a group's repositories, all of it known. */
export interface GroupListing {
  /** In the group, or in a group below it. */
  present: GitlabPlace[];
  /** Moved out of it. */
  elsewhere: GitlabPlace[];
  /** GitLab's ids of those that it does not have, or hides from us. */
  absent: Set<number>;
}

/** A list that shifts while it is read is read again, so often; what it still lacks then, the next run finds. */
const MOST_READINGS = 3;
/** 100,000 repositories. */
const MOST_PAGES = 1_000;

/**
 * Lists the group to its end. GitLab has no keyset paging here: by number of page, one that is deleted moves those behind it
 * forward, and the first of the next page is passed over. So the list is read again where its length has changed on the
 * way, and each that it seems to lack is asked for by itself.
 * @param known those that are to be in the listing, or found not to be
 */
export async function listGroup(
  client: GitlabClient,
  group: GitlabPlace,
  known: readonly GitlabPlace[],
  signal: AbortSignal,
): Promise<GroupListing> {
  const seen = new Map(known.map((one) => [one.gitlabId, one]));
  let reading = await readPages(client, group, signal);
  for (let times = 1; reading.hasShifted && times < MOST_READINGS; times++) {
    for (const [id, place] of reading.places) seen.set(id, place);
    reading = await readPages(client, group, signal);
  }
  const listing: GroupListing = { present: [...reading.places.values()], elsewhere: [], absent: new Set() };
  for (const id of seen.keys()) {
    if (reading.places.has(id)) continue;
    const place = await lookAgain(client, id, signal);
    if (place === null) listing.absent.add(id);
    else if (isBelow(place, group)) listing.present.push(place);
    else listing.elsewhere.push(place);
  }
  return listing;
}

async function readPages(client: GitlabClient, group: GitlabPlace, signal: AbortSignal) {
  const places = new Map<number, GitlabPlace>();
  const totals = new Set<number | null>();
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES)
      throw new GitlabBadAnswer(`GitLab's list of ${group.path} has no end: ${places.size} so far`);
    const { items, next, total } = await client.groupProjects(group.gitlabId, page, signal);
    for (const place of items) places.set(place.gitlabId, place);
    totals.add(total);
    page = next;
  }
  return { places, hasShifted: totals.size > 1 };
}

/** @returns null for one that GitLab does not have, or hides from us; one that is archived is there, though not in lists */
async function lookAgain(client: GitlabClient, gitlabId: number, signal: AbortSignal): Promise<GitlabPlace | null> {
  try {
    return await client.project(gitlabId, signal);
  } catch (error) {
    if (error instanceof GitlabNotFound) return null;
    throw error;
  }
}

function isBelow({ path }: GitlabPlace, group: GitlabPlace): boolean {
  return path.toLowerCase().startsWith(`${group.path.toLowerCase()}/`);
}
