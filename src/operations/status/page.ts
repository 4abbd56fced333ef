/** The operations of one surface, newest first, by page: for clients that know page numbers (the native list has cursors). */
import type { Client } from '@temporalio/client';
import type { Surface } from '../../model/operation.ts';
import { mapBounded, unavailable } from '../deadline.ts';
import { createLru } from '../lru.ts';
import type { OperationView, Page, PageRequest } from '../operations.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import { storedViewOf } from './list.ts';
import type { Status } from './status.ts';
import { type AccountRow, accountRowsOf, matchesPage, type PageFilter, pageQuery } from './visibility.ts';

/**
 * Visibility has no order but its own (not ended first, then last ended), so rows are read and sorted here: so many
 * at most. Beyond them a page holds the newest among those that visibility gives first.
 */
const ROWS_MAX = 10_000;
const ROWS_AT_ONCE = 1_000;
const READS_MAX = 16;
/** A few filters of a few accounts; an entry may hold `ROWS_MAX` rows, about 2 MB. */
const CACHE_ENTRIES_MAX = 16;
const CACHE_MS = 1_000;
/** Visibility is seldom further behind. */
const RECENT_MS = 5_000;
const RECENT_MAX = 200;

export interface Pager {
  page(request: PageRequest): Promise<Page>;
  /** Just accepted: shown although visibility may not know it yet. */
  accepted(surface: Surface, operation: OperationView): void;
}

export interface PagerDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly status: Status;
  readonly deadlineMs: number;
}

interface Rows {
  /** Newest first. */
  readonly rows: readonly AccountRow[];
  readonly total: number;
}

export function createPager({ client, link, status, deadlineMs }: PagerDeps): Pager {
  const cache = createLru<{ readonly at: number; readonly reading: Promise<Rows> }>(CACHE_ENTRIES_MAX);
  let recent: { readonly surface: Surface; readonly operation: OperationView; readonly at: number }[] = [];

  async function readRows(filter: PageFilter): Promise<Rows> {
    const { namespace } = client.options;
    const query = pageQuery(filter);
    const found = new Map<string, AccountRow>();
    let nextPageToken: Uint8Array | null | undefined;
    try {
      do {
        const asked = { namespace, query, pageSize: ROWS_AT_ONCE, ...(nextPageToken ? { nextPageToken } : {}) };
        const answer = await link.call(deadlineMs, () => client.workflowService.listWorkflowExecutions(asked));
        for (const row of accountRowsOf(answer.executions ?? [])) addRow(found, row);
        nextPageToken = answer.nextPageToken;
      } while (nextPageToken && nextPageToken.length > 0 && found.size < ROWS_MAX);
      const rows = [...found.values()].sort((a, b) => b.createdAtMs - a.createdAtMs);
      if (!nextPageToken || nextPageToken.length === 0) return { rows, total: rows.length };
      // Retries and continued runs count as rows of their own: an upper bound, where nobody counts by hand.
      const counting = () => client.workflowService.countWorkflowExecutions({ namespace, query });
      const { count } = await link.call(deadlineMs, counting);
      return { rows, total: Math.max(rows.length, Number(count ?? 0)) };
    } catch (error) {
      throw unavailable('operations cannot be listed now; ask again', error);
    }
  }

  function cachedRows(filter: PageFilter): Promise<Rows> {
    const name = JSON.stringify(filter);
    const cached = cache.get(name);
    if (cached !== undefined && Date.now() - cached.at < CACHE_MS) return cached.reading;
    const reading = readRows(filter);
    cache.set(name, { at: Date.now(), reading });
    reading.catch(() => cache.delete(name));
    return reading;
  }

  function justAccepted(filter: PageFilter, listed: readonly AccountRow[]): AccountRow[] {
    const since = Date.now() - RECENT_MS;
    recent = recent.filter(({ at }) => at >= since);
    if (recent.length === 0) return [];
    const known = new Set(listed.map(({ account, id }) => `${account}/${id}`));
    return recent
      .filter(({ surface, operation: { account, id } }) => {
        const wanted = surface === filter.surface && (filter.account ?? account) === account;
        return wanted && !known.has(`${account}/${id}`);
      })
      .map(({ operation: { account, id, createdAt, run } }) => ({
        account,
        id,
        state: null,
        run,
        createdAtMs: Date.parse(createdAt),
      }))
      .reverse();
  }

  /** Rows are seconds behind: what became of an operation since then may no longer fit. */
  async function viewOf(filter: PageFilter, row: AccountRow): Promise<OperationView | null> {
    const view = await storedViewOf(status, row.account, row);
    return view !== null && matchesPage(filter, view) ? view : null;
  }

  return {
    async page({ page, limit, ...filter }) {
      const { rows, total } = await cachedRows(filter);
      const unseen = await mapBounded(justAccepted(filter, rows), READS_MAX, (row) => viewOf(filter, row));
      const fresh = unseen.filter((view) => view !== null);
      const from = Math.max(0, (page - 1) * limit - fresh.length);
      const wanted = rows.slice(from, page * limit - fresh.length);
      const listed = await mapBounded(wanted, READS_MAX, (row) => viewOf(filter, row));
      const data = [...fresh.slice((page - 1) * limit, page * limit), ...listed.filter((view) => view !== null)];
      return { data, total: total + fresh.length };
    },
    accepted(surface, operation) {
      recent = [...recent.slice(1 - RECENT_MAX), { surface, operation, at: Date.now() }];
    },
  };
}

/** Rows of one operation: the first one is that of its latest run; the oldest says when it began. */
function addRow(found: Map<string, AccountRow>, row: AccountRow): void {
  const name = `${row.account}/${row.id}`;
  const standing = found.get(name);
  const createdAtMs = Math.min(row.createdAtMs, standing?.createdAtMs ?? row.createdAtMs);
  found.set(name, { ...(standing ?? row), createdAtMs });
}
