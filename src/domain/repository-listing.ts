/** A repository as it is listed and cached, by GitLab's own id; the rest is whatever is kept of it. */
export interface ListedRepository {
  gitlabId: number;
  /** `group/subgroup/project` */
  path: string;
}

export interface ListingChanges<Listed extends ListedRepository> {
  added: Listed[];
  /** As they are now; one that was moved or renamed is among them, since it keeps its id. */
  changed: Listed[];
  /** As they were. */
  gone: Listed[];
}

/**
 * How a group's repositories differ from the last good list of them, each in the order of GitLab's ids; null where the new
 * list was not read to its end: then the last good one stays, and nothing is said to be gone. Of one that is listed twice
 * (it changed while its pages were read) the later counts.
 */
export function compareListings<Listed extends ListedRepository>(
  before: Iterable<Listed>,
  now: Iterable<Listed>,
  isComplete: boolean,
): ListingChanges<Listed> | null {
  if (!isComplete) return null;
  const known = byId(before);
  const listed = byId(now);
  const inOrder = (repositories: Iterable<Listed>) => [...repositories].sort((a, b) => a.gitlabId - b.gitlabId);
  const isChanged = (repository: Listed) => {
    const last = known.get(repository.gitlabId);
    return last !== undefined && !isSame(last, repository);
  };
  return {
    added: inOrder(listed.values()).filter(({ gitlabId }) => !known.has(gitlabId)),
    changed: inOrder(listed.values()).filter(isChanged),
    gone: inOrder(known.values()).filter(({ gitlabId }) => !listed.has(gitlabId)),
  };
}

function byId<Listed extends ListedRepository>(repositories: Iterable<Listed>): Map<number, Listed> {
  const found = new Map<number, Listed>();
  for (const repository of repositories) found.set(repository.gitlabId, repository);
  return found;
}

/** By every field, all of which are plain values. */
function isSame(one: object, other: object): boolean {
  const fields = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...fields].every((field) => Object.is(Reflect.get(one, field), Reflect.get(other, field)));
}
