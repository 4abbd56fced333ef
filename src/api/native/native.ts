/** The native surface, `/v1`: submit, read, control. What streams (results, input) is in downloads.ts. */
import { OPERATION_OUTCOMES, OPERATION_STATES } from '../../model/operation.ts';
import { isTimestamp, readSubmitFields, refuseDeadline, refusePast, SUBMIT_FIELDS } from '../../model/submit-fields.ts';
import type { Actor, ControlAnswer, ListRequest } from '../../operations/operations.ts';
import { type ApiApp, type ApiContext, type AppDeps, actorOf } from '../context.ts';
import { readQuery, readWord, refuse } from '../query.ts';
import { matchesEntityTag, operationPath, renderOperation, statusHeaders, VARY } from '../render.ts';
import { addRoute, type Handler, needs, operationId } from '../routes.ts';
import { acceptedHeaders, submit } from '../submit.ts';
import { amendRoute } from './amend.ts';
import { addDownloads } from './downloads.ts';
import { addEvents } from './events.ts';
import { addItems } from './items.ts';
import { createAwaitNews, readWaitSeconds } from './long-poll.ts';
import { purgeRoute } from './purge.ts';
import { addRetry } from './retry.ts';
import { addTargets } from './targets.ts';
import { addVendors } from './vendors.ts';

export function addNative(app: ApiApp, deps: AppDeps): void {
  const { operations } = deps;
  addRoute(app, '/v1/operations', {
    GET: needs('read', listHandler(deps)),
    POST: needs('submit', submitHandler(deps)),
  });
  addRoute(app, '/v1/operations/:id', {
    GET: needs('read', getHandler(deps)),
    PATCH: amendRoute(deps),
    DELETE: purgeRoute(deps),
  });
  addRoute(app, '/v1/operations/:id/pause', { POST: needs('control', controlHandler(operations.pause)) });
  addRoute(app, '/v1/operations/:id/resume', { POST: needs('control', controlHandler(operations.resume)) });
  addRoute(app, '/v1/operations/:id/cancel', { POST: needs('control', controlHandler(operations.cancel)) });
  addRoute(app, '/v1/operations/:id/audit', { GET: needs('read', auditHandler(deps)) });
  addRetry(app, deps);
  addItems(app, deps);
  addDownloads(app, deps);
  addEvents(app, deps);
  addTargets(app, deps);
  addVendors(app, deps);
}

function submitHandler(deps: AppDeps): Handler {
  return async (c) => {
    const { target, policy, scheduledAt, metadata } = readSubmitFields(readQuery(c, SUBMIT_FIELDS));
    // Under a key it may be a request that was accepted when its time lay ahead: the verb can tell.
    if (c.req.header('Idempotency-Key') === undefined) {
      refusePast(scheduledAt, Date.now());
      refuseDeadline(policy.deadline ?? null, scheduledAt, Date.now());
    }
    const accepted = await submit(c, deps, {
      surface: 'v1',
      target,
      keylessReplayWindowMs: 0,
      policy,
      scheduledAt,
      metadata: metadata ?? {},
    });
    const statusPath = operationPath(accepted.operation.id);
    return c.json(renderOperation(accepted.operation), 202, {
      ...statusHeaders(accepted.operation),
      ...acceptedHeaders(c, deps, { ...accepted, statusPath }),
    });
  };
}

function getHandler(deps: AppDeps): Handler {
  const awaitNews = createAwaitNews(deps.limits);
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const account = c.get('account');
    const read = () => deps.operations.get(account, id);
    const ifNoneMatch = c.req.header('If-None-Match');
    const asked = readWaitSeconds(c.req.header('Prefer'));
    const seconds = Math.min(asked ?? 0, deps.limits.waitSecondsMax);
    if (asked !== null) c.header('Preference-Applied', `wait=${seconds}`);
    const signal = AbortSignal.any([deps.closing, c.req.raw.signal]);
    const view = asked === null ? await read() : await awaitNews({ account, read, ifNoneMatch, seconds, signal });
    if (matchesEntityTag(ifNoneMatch, view)) return c.body(null, 304, statusHeaders(view));
    return c.json(renderOperation(view), 200, statusHeaders(view));
  };
}

function listHandler(deps: AppDeps): Handler {
  return async (c) => {
    const request = readListRequest(c, deps);
    const { data, nextCursor } = await deps.operations.list(request);
    const body = { data: data.map(renderOperation), nextCursor };
    const headers = { 'Cache-Control': 'private, no-cache', Vary: VARY };
    if (nextCursor === null) return c.json(body, 200, headers);
    const next = new URL(c.req.url).searchParams;
    next.set('cursor', nextCursor);
    return c.json(body, 200, { ...headers, Link: `</v1/operations?${next}>; rel="next"` });
  };
}

const LIST_PARAMETERS = ['state', 'outcome', 'target', 'createdAfter', 'limit', 'cursor'] as const;

function readListRequest(c: ApiContext, { limits }: Pick<AppDeps, 'limits'>): ListRequest {
  const query = readQuery(c, LIST_PARAMETERS);
  const state = readWord(OPERATION_STATES, 'state', query.state);
  const outcome = readWord(OPERATION_OUTCOMES, 'outcome', query.outcome);
  const { target, createdAfter, cursor } = query;
  if (createdAfter !== undefined && !isTimestamp(createdAfter)) {
    const detail = 'must be an RFC 3339 date and time with an offset';
    refuse([{ code: 'malformed_request', detail, parameter: 'createdAfter' }]);
  }
  return {
    account: c.get('account'),
    limit: readLimit(query.limit, limits),
    ...(state === undefined ? {} : { state }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(target === undefined ? {} : { target }),
    ...(createdAfter === undefined ? {} : { createdAfter }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

function readLimit(text: string | undefined, limits: AppDeps['limits']): number {
  if (text === undefined) return limits.listItemsDefault;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limits.listItemsMax) return limit;
  const detail = `must be an integer from 1 to ${limits.listItemsMax}`;
  return refuse([{ code: 'malformed_request', detail, parameter: 'limit' }]);
}

function auditHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const headers = { 'Cache-Control': 'private, no-cache', Vary: VARY };
    return c.json({ data: await operations.audit(c.get('account'), id) }, 200, headers);
  };
}

/** 200 when it is there already, 202 while on its way: asking twice is no error. */
function controlHandler(verb: (account: string, id: string, actor: Actor) => Promise<ControlAnswer>): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const { operation, settled } = await verb(c.get('account'), id, actorOf(c));
    return c.json(renderOperation(operation), settled ? 200 : 202, statusHeaders(operation));
  };
}
