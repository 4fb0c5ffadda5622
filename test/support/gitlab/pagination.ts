import { grapeRefusal } from './answer.ts';
import type { Parameter } from './parameters.ts';

export const PAGE_PARAMETERS: Record<string, Parameter> = { page: { type: 'integer' }, per_page: { type: 'integer' } };

/** With more records than these GitLab counts them no longer. */
const COUNTED = 10_000;
const MOST_PER_PAGE = 100;
const USUAL_PER_PAGE = 20;

export interface Page<T> {
  items: T[];
  headers: Record<string, string>;
}

/** Makes the address of another page of the same listing. */
export type PageUrl = (changes: Record<string, string | number>) => string;

/** @throws Refusal 400 for a page of nothing */
export function perPageIn(values: { per_page?: unknown }): number {
  if (values.per_page === 0) throw grapeRefusal(400, 'per_page has a value not allowed');
  const wanted = typeof values.per_page === 'number' && values.per_page > 0 ? values.per_page : USUAL_PER_PAGE;
  return Math.min(wanted, MOST_PER_PAGE);
}

export function pageIn(values: { page?: unknown }): number {
  return typeof values.page === 'number' && values.page > 0 ? values.page : 1;
}

/** One page by its number, with the headers that lead to the others. */
export function offsetPage<T>(
  all: readonly T[],
  values: { page?: unknown; per_page?: unknown },
  url: PageUrl,
): Page<T> {
  const perPage = perPageIn(values);
  const page = pageIn(values);
  const pages = Math.max(Math.ceil(all.length / perPage), 1);
  const counted = all.length <= COUNTED;
  const link = (rel: string, to: number): string => `<${url({ page: to, per_page: perPage })}>; rel="${rel}"`;
  const previous = page > 1 ? page - 1 : undefined;
  const next = page < pages ? page + 1 : undefined;
  return {
    items: all.slice((page - 1) * perPage, page * perPage),
    headers: {
      'X-Per-Page': String(perPage),
      'X-Page': String(page),
      'X-Next-Page': String(next ?? ''),
      'X-Prev-Page': String(previous ?? ''),
      Link: [
        ...(previous === undefined ? [] : [link('prev', previous)]),
        ...(next === undefined ? [] : [link('next', next)]),
        link('first', 1),
        ...(counted ? [link('last', pages)] : []),
      ].join(', '),
      ...(counted && { 'X-Total': String(all.length), 'X-Total-Pages': String(pages) }),
    },
  };
}
