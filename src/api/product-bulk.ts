/** The surface of the product system that Tranche replaces: `POST /product/bulk` and its status, answer for answer. */
import { TrancheError } from '../model/errors.ts';
import type { OperationView } from '../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from './context.ts';
import { matchesEntityTag, statusHeaders } from './render.ts';
import { addRoute, type Handler, needs, operationId, operationNotFound } from './routes.ts';
import { acceptedHeaders, submit } from './submit.ts';

const TARGET = 'products';

export function addProductBulk(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/product/bulk', { POST: needs('submit', submitHandler(deps)) });
  addRoute(app, '/product/bulk/status/:id', { GET: needs('read', statusHandler(deps)) });
}

function submitHandler(deps: AppDeps): Handler {
  return async (c) => {
    requireJson(c);
    const accepted = await submit(c, deps, {
      surface: 'product-bulk',
      target: TARGET,
      keylessReplayWindowMs: deps.keylessReplayWindowMs,
      policy: {},
      metadata: {},
    });
    const bulkRequestId = accepted.operation.id;
    const statusUrl = `/product/bulk/status/${bulkRequestId}`;
    const message = 'Bulk request accepted for processing.';
    const headers = acceptedHeaders(c, deps, { ...accepted, statusPath: statusUrl });
    return c.json({ bulkRequestId, statusUrl, message }, 202, headers);
  };
}

function requireJson(c: ApiContext): void {
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'application/json') return;
  const allowed = ['application/json'];
  throw new TrancheError('unsupported_media_type', 'Send the operations as application/json.', { allowed });
}

function statusHandler(deps: AppDeps): Handler {
  return async (c) => {
    const view = await deps.operations.get(c.get('account'), operationId(c));
    if (view.target !== TARGET) throw operationNotFound();
    if (matchesEntityTag(c.req.header('If-None-Match'), view)) return c.body(null, 304, statusHeaders(view));
    return c.json(renderStatus(view), 200, statusHeaders(view));
  };
}

/** The first three are the contract and add up to the total; more members follow. */
function renderStatus({ counts, state, outcome, live }: OperationView) {
  return {
    in_progress: counts.pending + counts.running,
    completed: counts.succeeded + counts.skipped,
    failed: counts.failed + counts.cancelled + counts.unknown,
    total: counts.total,
    state,
    outcome,
    live,
  };
}
