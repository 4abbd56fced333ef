/** The surface of the bulk-action system that Tranche replaces: a CSV of an entity's rows, applied row by row. */
import { TrancheError } from '../../model/errors.ts';
import type { OperationView, TargetView } from '../../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from '../context.ts';
import { pageHeaders, readPage } from '../pages.ts';
import { readWord } from '../query.ts';
import { matchesEntityTag, statusHeaders, VARY } from '../render.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { type Accepted, acceptedHeaders, submit } from '../submit.ts';
import { readBulkActionForm } from './bulk-action-form.ts';
import { accountListed, accountNamed, actionIdOf, readActionId } from './bulk-action-id.ts';
import { addBulkActionLogs } from './bulk-action-logs.ts';
import {
  BULK_ACTION_STATUSES,
  DUPLICATE_REASON,
  renderAction,
  renderStats,
  STATUS_MEANINGS,
  statusOf,
} from './bulk-action-view.ts';

/** null = no bound of this surface's own. */
export interface BulkActionLimits {
  readonly fileBytesMax: number | null;
  readonly rowsMax: number | null;
  /** Rows of every chunk; null = chunks that grow. */
  readonly chunkRows: number | null;
}

const NO_LIMITS: BulkActionLimits = { fileBytesMax: null, rowsMax: null, chunkRows: null };

export function addBulkActions(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/bulk-actions', {
    GET: needs('read', listHandler(deps)),
    POST: needs('submit', submitHandler(deps)),
  });
  addRoute(app, '/bulk-actions/:id', { GET: needs('read', detailsHandler(deps)) });
  addRoute(app, '/bulk-actions/:id/stats', { GET: needs('read', statsHandler(deps, renderStats)) });
  addRoute(app, '/bulk-actions/:id/stat', { GET: needs('read', statsHandler(deps, renderStat)) });
  addBulkActionLogs(app, deps);
}

function submitHandler(deps: AppDeps): Handler {
  return async (c) => {
    requireForm(c);
    const { fileBytesMax, rowsMax, chunkRows } = deps.bulkActions ?? NO_LIMITS;
    const accepted = await submit(c, deps, {
      surface: 'bulk-actions',
      target: null,
      keylessReplayWindowMs: 0,
      policy: {},
      metadata: {},
      itemsMax: rowsMax,
      intake: {
        plainFileType: 'text/csv',
        ...(fileBytesMax === null ? {} : { payloadBytesMax: fileBytesMax }),
        ...(chunkRows === null ? {} : { chunkItems: chunkRows }),
      },
      readFields: (fields) =>
        readBulkActionForm(fields, {
          targets: deps.operations.targets(),
          accountNamed: (accountId) => accountNamed(c, accountId),
        }),
    });
    const actionId = actionIdOf(c, accepted.operation);
    const status = statusOf(accepted.operation);
    const headers = acceptedHeaders(c, deps, { ...accepted, statusPath: `/bulk-actions/${actionId}` });
    return c.json({ actionId, status, message: messageOf(accepted) }, 202, headers);
  };
}

function requireForm(c: ApiContext): void {
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'multipart/form-data') return;
  const allowed = ['multipart/form-data'];
  throw new TrancheError('unsupported_media_type', 'Send a form with the CSV as its part "file".', { allowed });
}

function messageOf({ operation, replayed }: Accepted): string {
  const status = statusOf(operation);
  if (replayed) return `This bulk action was accepted before; it is ${status}.`;
  if (status === 'SCHEDULED') return `Success! Your bulk action has been scheduled for ${operation.scheduledAt}.`;
  return 'Success! Your bulk action has been queued for processing.';
}

const LIST_MAX = 1_000;

function listHandler(deps: AppDeps): Handler {
  return async (c) => {
    const asked = readPage(c, { default: deps.limits.listItemsDefault, max: LIST_MAX }) ?? { page: 1, limit: LIST_MAX };
    const status = readWord(BULK_ACTION_STATUSES, 'status', c.req.query('status')?.toUpperCase());
    const meaning = status === undefined ? { states: null, outcomes: null } : STATUS_MEANINGS[status];
    const filter = { account: accountListed(c), surface: 'bulk-actions', ...meaning } as const;
    const { data, total } = await deps.operations.page({ ...filter, ...asked });
    const targets = deps.operations.targets();
    const actions = data.map((view) => renderAction(named(c, targets, view), view));
    const headers = { 'Cache-Control': 'private, no-cache', Vary: VARY, ...pageHeaders(c, asked, total) };
    return c.json(actions, 200, headers);
  };
}

function named(c: ApiContext, targets: readonly TargetView[], view: OperationView) {
  const entityType = targets.find(({ name }) => name === view.target)?.entity ?? view.target;
  return { actionId: actionIdOf(c, view), entityType };
}

function detailsHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const { account, id } = readActionId(c);
    const view = await operations.get(account, id);
    if (matchesEntityTag(c.req.header('If-None-Match'), view)) return c.body(null, 304, statusHeaders(view));
    return c.json(renderAction(named(c, operations.targets(), view), view), 200, statusHeaders(view));
  };
}

function statsHandler({ operations }: AppDeps, render: typeof renderStats): Handler {
  return async (c) => {
    const { account, id } = readActionId(c);
    const view = await operations.get(account, id);
    if (matchesEntityTag(c.req.header('If-None-Match'), view)) return c.body(null, 304, statusHeaders(view));
    const reasons = view.state === 'ended' ? await operations.skipReasons(view) : reasonsSoFar(operations, view);
    return c.json(render(actionIdOf(c, view), view, reasons), 200, statusHeaders(view));
  };
}

/** Exact only at the end: until then nobody walks the results for it, and duplicates are what this service skips. */
function reasonsSoFar({ targets }: AppDeps['operations'], view: OperationView): Readonly<Record<string, number>> {
  const { skipped } = view.counts;
  if (skipped === 0) return {};
  const deduplicates = targets().find(({ name }) => name === view.target)?.deduplicates === true;
  return { [deduplicates ? DUPLICATE_REASON : 'SKIPPED']: skipped };
}

/** The older of the two: the same, with three more names for the same numbers. */
function renderStat(...args: Parameters<typeof renderStats>) {
  const stats = renderStats(...args);
  const { totalCount: total, successCount: success, failureCount: failed } = stats;
  return { ...stats, total, success, failed };
}
