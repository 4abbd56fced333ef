/** Numbered pages, for surfaces whose clients know them: what they ask for, and the headers that say how many there are. */
import type { ApiContext } from './context.ts';
import { refuse } from './query.ts';

export interface PageAsked {
  /** From 1. */
  readonly page: number;
  readonly limit: number;
}

/** null where the query names neither `page` nor `limit`. Throws `malformed_request`. */
export function readPage(c: ApiContext, limits: { readonly default: number; readonly max: number }): PageAsked | null {
  const { page, limit } = { page: c.req.query('page'), limit: c.req.query('limit') };
  if (page === undefined && limit === undefined) return null;
  return { page: readNumber('page', page, 1, PAGE_MAX), limit: readNumber('limit', limit, limits.default, limits.max) };
}

const PAGE_MAX = 999_999_999;

function readNumber(parameter: string, text: string | undefined, absent: number, max: number): number {
  if (text === undefined) return absent;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  const detail = `must be an integer from 1 to ${max}`;
  return refuse([{ code: 'malformed_request', detail, parameter }]);
}

/** `Link` to the pages beside this one (RFC 8288), and the totals. */
export function pageHeaders(c: ApiContext, { page, limit }: PageAsked, total: number): Record<string, string> {
  const pages = Math.max(1, Math.ceil(total / limit));
  const link = (rel: string, to: number) => `<${pathOfPage(c, to, limit)}>; rel="${rel}"`;
  const links = [
    link('first', 1),
    ...(page > 1 ? [link('prev', Math.min(page - 1, pages))] : []),
    ...(page < pages ? [link('next', page + 1)] : []),
    link('last', pages),
  ];
  return {
    'X-Total-Count': String(total),
    'X-Page': String(page),
    'X-Limit': String(limit),
    'X-Total-Pages': String(pages),
    Link: links.join(', '),
  };
}

function pathOfPage(c: ApiContext, page: number, limit: number): string {
  const { pathname, searchParams } = new URL(c.req.url);
  searchParams.set('page', String(page));
  searchParams.set('limit', String(limit));
  return `${pathname}?${searchParams}`;
}
