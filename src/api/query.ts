/** Reads a query string strictly: what we do not know, or are told twice, we refuse instead of ignoring it. */
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';

/** Throws `malformed_request` that names every parameter at fault. */
export function readQuery<Name extends string>(
  c: ApiContext,
  known: readonly Name[],
): { readonly [name in Name]?: string } {
  const query = new Map<string, string>();
  const faults: { code: string; detail: string; parameter: string }[] = [];
  for (const [parameter, value] of new URL(c.req.url).searchParams) {
    const detail = !isOneOf(known, parameter)
      ? `unknown query parameter; known here: ${known.join(', ') || 'none'}`
      : query.has(parameter)
        ? 'query parameter given twice'
        : null;
    if (detail !== null) faults.push({ code: 'malformed_request', detail, parameter: parameter.slice(0, 64) });
    query.set(parameter, value);
  }
  if (faults.length > 0) refuse(faults.slice(0, FAULTS_SHOWN_MAX));
  // `known` names every key of the map by now.
  return Object.fromEntries(query) as { [name in Name]?: string };
}

/** An answer names this many faults; a hostile query may hold thousands. */
const FAULTS_SHOWN_MAX = 10;

export function isOneOf<Word extends string>(words: readonly Word[], text: string): text is Word {
  return (words as readonly string[]).includes(text);
}

/** The parameter's value where it is one of `words`; undefined where it was not given. */
export function readWord<Word extends string>(
  words: readonly Word[],
  parameter: string,
  text: string | undefined,
): Word | undefined {
  if (text === undefined || isOneOf(words, text)) return text;
  return refuse([{ code: 'malformed_request', detail: `must be one of ${words.join(', ')}`, parameter }]);
}

export function refuse(errors: readonly { code: string; detail: string; parameter: string }[]): never {
  const message = errors.map((error) => `${printable(error.parameter)}: ${error.detail}`).join('; ');
  throw new TrancheError('malformed_request', message, { errors });
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
