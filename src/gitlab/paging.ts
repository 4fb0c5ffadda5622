import type { Headers } from './answer.ts';
import { GitlabBadAnswer } from './errors.ts';

/** GitLab gives no more at once. */
export const PER_PAGE = 100;

/** @returns the number of the page after this one, of offset paging; null at the end */
export function nextPage(headers: Headers, page: number): number | null {
  const told = headers['x-next-page'] ?? nextLink(headers)?.get('page') ?? '';
  if (told === '') return null;
  const next = Number(told);
  if (next !== page + 1)
    throw new GitlabBadAnswer(`GitLab says that after page ${page} comes page ${told.slice(0, 20)}`);
  return next;
}

/**
 * The same of a list that must not be taken for whole where it is not: a full page that comes without a word on paging may
 * be one of many, whose others some proxy has hidden.
 * @param count of the items on this page
 */
export function nextPageOf(headers: Headers, page: number, count: number): number | null {
  const isSilent = headers['x-next-page'] === undefined && headers['link'] === undefined;
  if (isSilent && count >= PER_PAGE) throw new GitlabBadAnswer('GitLab does not say whether there is another page');
  return nextPage(headers, page);
}

/** @returns how many there are on all pages, of offset paging; null where GitLab does not say, as of more than 10,000 */
export function totalOf(headers: Headers): number | null {
  const told = headers['x-total'];
  return told !== undefined && /^\d{1,9}$/.test(told) ? Number(told) : null;
}

/**
 * @param last id of the last item of this page
 * @returns the id after which the next page begins, of keyset paging; null at the end
 */
export function nextAfter(headers: Headers, last: number | undefined): number | null {
  const link = nextLink(headers);
  if (link === null || last === undefined) return null;
  const after = Number(link.get('id_after') ?? last);
  if (!Number.isSafeInteger(after) || after < last) throw new GitlabBadAnswer('GitLab names no next page that is one');
  return after;
}

/** The query of the `Link` header's `rel="next"`. Only its query: the request goes to the configured GitLab. */
function nextLink(headers: Headers): URLSearchParams | null {
  const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(headers['link'] ?? '')?.[1];
  return link !== undefined && URL.canParse(link) ? new URL(link).searchParams : null;
}
