/** Single items of an operation, and its dead letters: what failed, to be corrected and sent back. */
import { TrancheError } from '../../model/errors.ts';
import type { DeadLettersRequest } from '../../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from '../context.ts';
import { isOneOf, readQuery, readWord, refuse } from '../query.ts';
import { VARY } from '../render.ts';
import { addRoute, type Handler, needs, operationId } from '../routes.ts';
import { answerStream } from '../stream.ts';
import { attachment } from './downloads.ts';

export function addItems(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/operations/:id/items/:index', { GET: needs('read', itemHandler(deps)) });
  addRoute(app, '/v1/operations/:id/items/:index/input', { GET: needs('read', itemInputHandler(deps)) });
  addRoute(app, '/v1/operations/:id/dead-letters', { GET: needs('read', deadLettersHandler(deps)) });
}

const PRIVATE = { 'Cache-Control': 'private, no-cache', Vary: VARY } as const;

function itemHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    return c.json(await operations.item(c.get('account'), id, itemIndex(c)), 200, PRIVATE);
  };
}

function itemInputHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const { mediaType, body } = await operations.itemInput(c.get('account'), id, itemIndex(c));
    return c.body(new Uint8Array(body), 200, { ...PRIVATE, 'Content-Type': mediaType });
  };
}

/** What cannot be an index is not found, like any index that is not there. */
function itemIndex(c: ApiContext): number {
  const text = c.req.param('index') ?? '';
  if (/^(?:0|[1-9]\d{0,9})$/.test(text)) return Number(text);
  throw new TrancheError('not_found', 'There is no such item.');
}

export const RETRYABLE_OUTCOMES = ['failed', 'unknown', 'cancelled'] as const;
type Outcomes = DeadLettersRequest['outcomes'];
const DEAD: Outcomes = ['failed', 'unknown'];

function deadLettersHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    const query = readQuery(c, ['outcome', 'format']);
    const format = readWord(['csv', 'ndjson'], 'format', query.format) ?? 'ndjson';
    const outcomes = query.outcome === undefined ? DEAD : readOutcomes('outcome', query.outcome.split(','));
    const account = c.get('account');
    const { mediaType, body } = await deps.operations.deadLetters({ account, id, outcomes, format });
    const name = attachment(`${id}-dead-letters.${format}`);
    return answerStream(c, deps, body, { ...PRIVATE, 'Content-Type': mediaType, 'Content-Disposition': name });
  };
}

/** Throws `malformed_request` that names the parameter. */
export function readOutcomes(parameter: string, words: readonly string[]): Outcomes {
  const trimmed = words.map((word) => word.trim());
  const outcomes = trimmed.filter((word) => isOneOf(RETRYABLE_OUTCOMES, word));
  if (outcomes.length === words.length && words.length > 0) return [...new Set(outcomes)];
  const detail = `must be of ${RETRYABLE_OUTCOMES.join(', ')}`;
  return refuse([{ code: 'malformed_request', detail, parameter }]);
}
