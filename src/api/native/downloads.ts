/** What an operation gives back of its items: results in input order, failures by code, the input as it came. */
import { ITEM_OUTCOMES } from '../../model/outcome.ts';
import type { Results } from '../../operations/operations.ts';
import type { ApiApp, AppDeps } from '../context.ts';
import { readQuery, readWord, refuse } from '../query.ts';
import { VARY } from '../render.ts';
import { addRoute, type Handler, needs, operationId } from '../routes.ts';
import { answerStream } from '../stream.ts';
import { RESULT_FORMATS, RESULT_MEDIA_TYPES, type ResultFormat, toCsv, toJsonArray } from './results-format.ts';

export function addDownloads(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/operations/:id/results', { GET: needs('read', resultsHandler(deps)) });
  addRoute(app, '/v1/operations/:id/errors', { GET: needs('read', errorsHandler(deps)) });
  addRoute(app, '/v1/operations/:id/input', { GET: needs('read', inputHandler(deps)) });
}

const PRIVATE = { 'Cache-Control': 'private, no-cache', Vary: VARY } as const;

function resultsHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    const query = readQuery(c, ['outcome', 'format', 'escape']);
    const outcome = readWord(ITEM_OUTCOMES, 'outcome', query.outcome);
    const format = readWord(RESULT_FORMATS, 'format', query.format) ?? 'ndjson';
    const escaping = readWord(['spreadsheet'], 'escape', query.escape);
    if (escaping !== undefined && format !== 'csv') {
      refuse([{ code: 'malformed_request', detail: 'goes with format=csv only', parameter: 'escape' }]);
    }
    const account = c.get('account');
    const results = await deps.operations.results({ account, id, ...(outcome === undefined ? {} : { outcome }) });
    return answerStream(c, deps, formatted(results, format, escaping !== undefined), {
      ...PRIVATE,
      'Content-Type': RESULT_MEDIA_TYPES[format],
      'Results-Complete': results.complete ? '?1' : '?0',
      ...(format === 'csv' ? { 'Content-Disposition': attachment(`${id}-results.csv`) } : {}),
    });
  };
}

function formatted({ lines }: Results, format: ResultFormat, guarded: boolean): AsyncIterable<Buffer> {
  if (format === 'csv') return toCsv(lines, { guarded });
  return format === 'json' ? toJsonArray(lines) : lines;
}

function errorsHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    return c.json({ data: await deps.operations.errors(c.get('account'), id) }, 200, PRIVATE);
  };
}

function inputHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const { mediaType, body } = await deps.operations.input(c.get('account'), id);
    const extension = mediaType.startsWith('text/csv') ? 'csv' : 'ndjson';
    return answerStream(c, deps, body, {
      ...PRIVATE,
      'Content-Type': mediaType,
      'Content-Disposition': attachment(`${id}-input.${extension}`),
    });
  };
}

/** Ids are ASCII without quotes; `:` is no character for a file name on every system. */
export function attachment(name: string): string {
  return `attachment; filename="${name.replaceAll(/[:~]/g, '_')}"`;
}
