/** What an answer says: which operation it is of, whose, and the lines of a download. */
import type { ItemOutcome } from '../../src/model/outcome.ts';
import { operationIdOf } from '../../src/operations/submit/operation-id.ts';
import type { Submitted } from './history.ts';
import type { Row } from './rows.ts';
import type { Sent } from './sender.ts';
import { isObject, ownersIn } from './sightings.ts';

/** Where no answer came, the key may still say what it would have named. */
export function idOfKey(submitted: Submitted | null, status: number | null): string | null {
  if (submitted === null || submitted.key === null || submitted.surface === 'jobs') return null;
  return status === null || status >= 500 ? operationIdOf(submitted.key) : null;
}

export function idIn(body: unknown, status: number | null): string | null {
  if (!isObject(body) || status === null || status >= 300) return null;
  const named = [body['id'], body['bulkRequestId'], body['actionId'], body['request_id']];
  return named.find((name) => typeof name === 'string') ?? null;
}

/** What was asked for by name says nothing new where the answer is that there is no such thing. */
export function ownersOf(path: string, { status, headers }: Sent, text: string): readonly string[] {
  const owners = new Set([...ownersIn(text), ...ownersIn(JSON.stringify(headers))]);
  if (status !== null && status >= 400) for (const owner of ownersIn(path)) owners.delete(owner);
  return [...owners];
}

export function parsedOrNull({ status, headers }: Sent, text: string): unknown {
  const type = String(headers['content-type']);
  if (status === null || !/\bjson\b/.test(type) || text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What is no row is noted as one that no operation has. */
export function* rowsIn(ndjson: string): Generator<Row> {
  for (const line of ndjson.split('\n')) if (line !== '') yield rowIn(line);
}

function rowIn(line: string): Row {
  try {
    const row: { index: number; outcome: ItemOutcome; error?: { code: string }; reason?: string } = JSON.parse(line);
    return { index: row.index, outcome: row.outcome, code: row.error?.code ?? row.reason ?? null };
  } catch {
    return { index: -1, outcome: 'unknown', code: 'unreadable' };
  }
}
