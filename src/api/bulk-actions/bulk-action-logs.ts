/** What became of each row of a bulk action: as JSON pages, and as CSV to download. */
import type { Results } from '../../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from '../context.ts';
import { attachment } from '../native/downloads.ts';
import { type PageAsked, pageHeaders, readPage } from '../pages.ts';
import { readWord } from '../query.ts';
import { VARY } from '../render.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { answerStream } from '../stream.ts';
import { actionIdOf, readActionId } from './bulk-action-id.ts';
import { countsOf } from './bulk-action-view.ts';
import { type LogFilter, type LogRow, placeOf, ROW_STATUSES, rowsOf, toLogCsv } from './log-rows.ts';

export function addBulkActionLogs(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/bulk-actions/:id/logs', { GET: needs('read', logsHandler(deps)) });
}

const PRIVATE = { 'Cache-Control': 'private, no-cache', Vary: VARY } as const;
const ROWS_DEFAULT = 100;
const ROWS_MAX = 1_000;

function logsHandler(deps: AppDeps): Handler {
  return async (c) => {
    const { account, id } = readActionId(c);
    const filter = readFilter(c);
    const format = readWord(['json', 'csv'], 'format', c.req.query('format')) ?? 'json';
    const asked = readPage(c, { default: ROWS_DEFAULT, max: ROWS_MAX });
    const guarded = readWord(['spreadsheet'], 'escape', c.req.query('escape')) !== undefined;
    const results = await deps.operations.results({ account, id, fromIndex: placeOf(asked, filter) });
    const headers = { ...PRIVATE, 'Results-Complete': results.complete ? '?1' : '?0' };
    if (format === 'csv') {
      const rows = toLogCsv(results.lines, { filter, asked, guarded, complete: results.complete });
      const name = `${actionIdOf(c, results.operation)}-logs.csv`;
      const type = 'text/csv; charset=utf-8; header=present';
      return answerStream(c, deps, rows, { ...headers, 'Content-Type': type, 'Content-Disposition': attachment(name) });
    }
    const page = asked ?? { page: 1, limit: ROWS_DEFAULT };
    const { data, total } = await readPageOf(results, filter, page);
    const { page: number, limit } = page;
    const totalPages = Math.max(1, Math.ceil(total / limit));
    const body = { data, total, page: number, limit, totalPages, complete: results.complete };
    return c.json(body, 200, { ...headers, ...pageHeaders(c, page, total) });
  };
}

function readFilter(c: ApiContext): LogFilter {
  const status = readWord(ROW_STATUSES, 'status', c.req.query('status')?.toUpperCase());
  const entityKey = c.req.query('entityKey')?.trim().toLowerCase();
  return { status: status ?? null, entityKey: entityKey === undefined || entityKey === '' ? null : entityKey };
}

/**
 * How many rows there are is known from the counts, so reading ends with the page. Only the rows of one entity key
 * have to be counted: then all are read, and none kept beyond the page.
 */
async function readPageOf(results: Results, filter: LogFilter, { page, limit }: PageAsked) {
  const known = filter.entityKey === null ? rowsCounted(results, filter) : null;
  const data: LogRow[] = [];
  const from = (page - 1) * limit;
  let seen = 0;
  if (known !== null && from >= known && results.complete) return { data, total: known };
  for await (const { firstIndex, rows } of rowsOf(results.lines, filter)) {
    if (results.complete && placeOf({ page, limit }, filter) > 0) seen = firstIndex;
    for (const row of rows) {
      if (seen >= from && data.length < limit) data.push(row());
      seen++;
    }
    if (known !== null && data.length === limit) break;
  }
  return { data, total: known === null ? seen : Math.max(known, from + data.length) };
}

function rowsCounted({ operation }: Results, { status }: LogFilter): number {
  const { processedCount, successCount, failureCount, skippedCount } = countsOf(operation);
  if (status === null) return processedCount;
  return { SUCCESS: successCount, FAILED: failureCount, SKIPPED: skippedCount }[status];
}
