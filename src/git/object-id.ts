import { GitError } from './git-error.ts';

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export function isObjectId(text: string): boolean {
  return OBJECT_ID.test(text);
}

/** What git is given as an id must be one: it would take other words for options or revisions. @throws GitError `failed` */
export function checkObjectIds(...ids: string[]): void {
  if (!ids.every(isObjectId)) throw new GitError('failed', 'the id of an object is 40 or 64 hexadecimal digits');
}

/** The id of the tree without entries, which git knows without having it. */
export function emptyTreeLike(id: string): string {
  return id.length === 64
    ? '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321'
    : '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
}
