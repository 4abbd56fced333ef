/** The operations of an account, from Temporal's visibility: rows name them, records and summaries say what they are. */
import type { Client } from '@temporalio/client';
import { isTrancheError } from '../../model/errors.ts';
import { mapBounded, unavailable } from '../deadline.ts';
import { createLru } from '../lru.ts';
import type { ListRequest, OperationView } from '../operations.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import { badCursor, decodeCursor, encodeCursor } from './cursor.ts';
import type { Status } from './status.ts';
import { matches, type Row, rowsOf, visibilityQuery } from './visibility.ts';

/** A page may lose rows to the filter; so many pages are asked for at most to fill one answer. */
const PAGES_MAX = 3;
const READS_MAX = 16;
const CACHE_MS = 1_000;
const CACHE_ENTRIES_MAX = 256;
/** Visibility is seldom further behind. */
const RECENT_MS = 5_000;
const RECENT_MAX = 200;
const INVALID_ARGUMENT = 3;

export interface Listed {
  readonly data: readonly OperationView[];
  readonly nextCursor: string | null;
}

export interface Lister {
  list(request: ListRequest): Promise<Listed>;
  /** Just accepted: shown although visibility may not know it yet. */
  accepted(operation: OperationView): void;
}

export interface ListerDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly status: Status;
  readonly deadlineMs: number;
}

export function createLister({ client, link, status, deadlineMs }: ListerDeps): Lister {
  const cache = createLru<{ readonly at: number; readonly listing: Promise<Listed> }>(CACHE_ENTRIES_MAX);
  let recent: { readonly operation: OperationView; readonly at: number }[] = [];

  async function page(query: string, pageSize: number, nextPageToken: Buffer | null) {
    const { namespace } = client.options;
    const request = { namespace, query, pageSize, ...(nextPageToken === null ? {} : { nextPageToken }) };
    try {
      return await link.call(deadlineMs, () => client.workflowService.listWorkflowExecutions(request));
    } catch (error) {
      const refused = error instanceof Error && 'code' in error && error.code === INVALID_ARGUMENT;
      if (refused && nextPageToken !== null) throw badCursor(error);
      throw unavailable('operations cannot be listed now; ask again', error);
    }
  }

  async function read(request: ListRequest): Promise<Listed> {
    const query = visibilityQuery(request);
    let token = request.cursor === undefined ? null : decodeCursor(request.cursor, query);
    const data = new Map<string, OperationView>();
    for (let pages = 0; pages < PAGES_MAX && data.size < request.limit; pages++) {
      const { executions, nextPageToken } = await page(query, request.limit - data.size, token);
      const rows = rowsOf(request.account, executions ?? []);
      const views = await mapBounded(rows, READS_MAX, (row) => viewOfRow(status, request, row));
      // The first row of an operation is that of its latest run.
      for (const view of views) if (view !== null && !data.has(view.id)) data.set(view.id, view);
      token =
        nextPageToken === null || nextPageToken === undefined || nextPageToken.length === 0
          ? null
          : Buffer.from(nextPageToken);
      if (token === null) break;
    }
    // On a list of several pages the newest would turn up a second time later on.
    const unseen = token === null && request.cursor === undefined ? await justAccepted(request, data) : [];
    const nextCursor = token === null ? null : encodeCursor(token, query);
    return { data: [...unseen, ...data.values()].slice(0, request.limit), nextCursor };
  }

  async function justAccepted(
    request: ListRequest,
    listed: ReadonlyMap<string, OperationView>,
  ): Promise<OperationView[]> {
    const since = Date.now() - RECENT_MS;
    recent = recent.filter(({ at }) => at >= since);
    const missing = recent.filter(
      ({ operation }) => operation.account === request.account && !listed.has(operation.id),
    );
    const views = await mapBounded(missing, READS_MAX, ({ operation }) =>
      viewOfRow(status, request, { id: operation.id, state: null, run: operation.run }),
    );
    return views.filter((view) => view !== null).reverse();
  }

  /** Rows are shared, what is shown of them is not: another answer may have shown something newer meanwhile. */
  async function upToDate(request: ListRequest, { data, nextCursor }: Listed): Promise<Listed> {
    const views = await mapBounded(data, READS_MAX, async (listed) => {
      const now = await storedViewOf(status, request.account, { id: listed.id, state: null, run: listed.run });
      if (now?.run === listed.run && now.revision === listed.revision) return { ...listed, live: now.live };
      return now !== null && matches(request, now) ? now : null;
    });
    return { data: views.filter((view) => view !== null), nextCursor };
  }

  return {
    async list(request) {
      const name = JSON.stringify(request);
      const cached = cache.get(name);
      if (cached !== undefined && Date.now() - cached.at < CACHE_MS)
        return await upToDate(request, await cached.listing);
      const listing = read(request);
      cache.set(name, { at: Date.now(), listing });
      listing.catch(() => cache.delete(name));
      return await listing;
    },
    accepted(operation) {
      recent = [...recent.slice(1 - RECENT_MAX), { operation, at: Date.now() }];
    },
  };
}

async function viewOfRow(status: Status, request: ListRequest, row: Row): Promise<OperationView | null> {
  const view = await storedViewOf(status, request.account, row);
  return view !== null && matches(request, view) ? view : null;
}

/** Rows are seconds behind: an operation that has ended meanwhile is what its summary says. null: there is none. */
export async function storedViewOf(status: Status, account: string, row: Row): Promise<OperationView | null> {
  let view: OperationView;
  try {
    view = await status.stored(account, row.id, row.run);
  } catch (error) {
    if (isTrancheError(error) && (error.code === 'not_found' || error.code === 'gone')) return null;
    throw error;
  }
  // The checkpoint may be older than the row, which carries only the state.
  if (view.state !== 'ended' && row.state !== null && row.state !== 'ended') view = { ...view, state: row.state };
  return view;
}
