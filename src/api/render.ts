/** An operation as the wire shows it: its JSON, its validator, when to ask again, where it is. */
import type { OperationView } from '../operations/operations.ts';
import type { ApiContext } from './context.ts';

export function operationPath(id: string): string {
  return `/v1/operations/${id}`;
}

/** Links are paths: right behind any proxy. */
export function renderOperation(view: OperationView) {
  const self = operationPath(view.id);
  return {
    ...view,
    links: {
      self,
      results: `${self}/results`,
      events: `${self}/events`,
      errors: `${self}/errors`,
      input: `${self}/input`,
    },
  };
}

/** Weak: `asOf` and the rates may differ between two answers of one revision. */
export function entityTag(view: OperationView): string {
  return `W/"${view.run}.${view.revision}.${view.state}.${view.live}"`;
}

/** By weak comparison; `*` matches whatever there is. */
export function matchesEntityTag(ifNoneMatch: string | undefined, view: OperationView): boolean {
  if (ifNoneMatch === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  const current = opaque(entityTag(view));
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || opaque(tag) === current);
}

const RETRY_AFTER_SECONDS_MAX = 60;

/** Seconds: often while it is young (1 s in the first 10 s), then about 5 % of its age. null once it has ended. */
export function retryAfterSeconds(view: OperationView, now = Date.now()): number | null {
  if (view.state === 'ended') return null;
  const ageSeconds = (now - Date.parse(view.createdAt)) / 1_000;
  if (!(ageSeconds >= 10)) return 1;
  return Math.min(RETRY_AFTER_SECONDS_MAX, Math.max(1, Math.ceil(ageSeconds * 0.05)));
}

/** Each of these may name the account whose copy an answer is. */
export const VARY = 'Tranche-Account, Authorization, X-API-Key';

/** What a status answer says beside its body. `Vary` keeps one account's copy from being revalidated for another. */
export function statusHeaders(view: OperationView): Record<string, string> {
  const retryAfter = retryAfterSeconds(view);
  return {
    ETag: entityTag(view),
    'Cache-Control': 'private, no-cache',
    Vary: VARY,
    ...(retryAfter === null ? {} : { 'Retry-After': String(retryAfter) }),
  };
}

const HOST = /^(?:[a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** Absolute where the Host header is a plain host, else the path: a crafted Host never reaches an answer. */
export function absoluteUrl(c: ApiContext, path: string, publicUrl: string | null): string {
  if (publicUrl !== null) return publicUrl.replace(/\/+$/, '') + path;
  const host = c.req.header('Host');
  if (host === undefined || !HOST.test(host)) return path;
  return `${new URL(c.req.url).protocol}//${host}${path}`;
}
