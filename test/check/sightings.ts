/** What an answer shows: operations as they stand, and accounts of whom something stands in it. */
import {
  OPERATION_OUTCOMES,
  OPERATION_STATES,
  type OperationOutcome,
  type OperationState,
} from '../../src/model/operation.ts';
import type { Reading, ReadingCounts } from './history.ts';

/** An operation in an answer, whichever surface it came from. */
export type Sight = Pick<
  Reading,
  'operationId' | 'owner' | 'traceId' | 'state' | 'outcome' | 'run' | 'revision' | 'counts' | 'live'
>;

const MARK = /mark:([a-z0-9-]{1,40}):/g;
const ACCOUNT_MEMBER = /"account":\s*"([^"]{1,64})"/g;

/** Stands in everything that a client of the account sends: where it comes out elsewhere, something leaked. */
export function markOf(account: string): string {
  return `mark:${account}:`;
}

export function ownersIn(text: string): ReadonlySet<string> {
  const owners = new Set<string>();
  const plain = text.includes('%3A') ? text.replaceAll('%3A', ':') : text;
  for (const pattern of [MARK, ACCOUNT_MEMBER]) {
    for (const [, owner] of plain.matchAll(pattern)) if (owner !== undefined) owners.add(owner);
  }
  return owners;
}

/** `pathId`: the operation that the path names, for surfaces that do not repeat it. */
export function sightsIn(body: unknown, pathId: string | null): readonly Sight[] {
  if (Array.isArray(body)) return body.flatMap((each) => sightsIn(each, null));
  if (!isObject(body)) return [];
  if (Array.isArray(body['data'])) return sightsIn(body['data'], null);
  if (isObject(body['counts']) && typeof body['revision'] === 'number') return [nativeSight(body)];
  if (typeof body['in_progress'] === 'number' && pathId !== null) return [bulkSight(body, pathId)];
  if (typeof body['processedCount'] === 'number') return [actionSight(body)];
  return [];
}

function nativeSight(view: Readonly<Record<string, unknown>>): Sight {
  return {
    operationId: String(view['id']),
    owner: textOf(view['account']),
    traceId: textOf(view['traceId']),
    state: wordOf(OPERATION_STATES, view['state']),
    outcome: wordOf(OPERATION_OUTCOMES, view['outcome']),
    run: Number(view['run']),
    revision: Number(view['revision']),
    // As it came: a rule says whether it adds up.
    counts: view['counts'] as ReadingCounts,
    live: view['live'] === true,
  };
}

/** `completed` holds what was skipped, `failed` what was cancelled and what is unknown. */
function bulkSight(view: Readonly<Record<string, unknown>>, operationId: string): Sight {
  const [undecided, succeeded, failed] = [view['in_progress'], view['completed'], view['failed']].map(Number);
  const total = Number(view['total']);
  return {
    ...UNSAID,
    operationId,
    state: wordOf(OPERATION_STATES, view['state']),
    outcome: wordOf(OPERATION_OUTCOMES, view['outcome']),
    counts: { total, undecided: undecided ?? 0, succeeded: succeeded ?? 0, failed: failed ?? 0 },
    live: view['live'] === true,
  };
}

const STATE_OF_STATUS: Readonly<Record<string, OperationState>> = {
  SCHEDULED: 'scheduled',
  QUEUED: 'queued',
  PAUSED: 'paused',
  COMPLETED: 'ended',
  FAILED: 'ended',
  CANCELLED: 'ended',
};

/** This surface does not say whether it speaks from memory. */
function actionSight(view: Readonly<Record<string, unknown>>): Sight {
  const [total, succeeded, failed, skipped] = ['totalCount', 'successCount', 'failureCount', 'skippedCount'].map(
    (name) => Number(view[name]),
  );
  const counts = { total: total ?? 0, succeeded: succeeded ?? 0, failed: failed ?? 0, skipped: skipped ?? 0 };
  return {
    ...UNSAID,
    operationId: String(view['actionId']),
    state: STATE_OF_STATUS[String(view['status'])] ?? null,
    outcome: null,
    counts: { ...counts, undecided: counts.total - Number(view['processedCount']) },
    live: false,
  };
}

const UNSAID = { owner: null, traceId: null, run: null, revision: null } as const;

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function wordOf<Word extends OperationState | OperationOutcome>(words: readonly Word[], value: unknown): Word | null {
  return words.find((word) => word === value) ?? null;
}
