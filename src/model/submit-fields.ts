/** What a client may say beside the items, as text fields: a query string, or the form fields of a multipart body. */
import { TrancheError } from './errors.ts';
import { FAILURE_ACTIONS, type FailureAction, type FailureLimits } from './failure-policy.ts';
import { METADATA_BYTES_MAX, METADATA_DEPTH_MAX } from './limits.ts';
import { type Amendment, isAhead } from './operation.ts';

/** Every field that a submission takes; `target` is read by whoever knows the targets. */
export const SUBMIT_FIELDS = [
  'target',
  'scheduledAt',
  'priority',
  'concurrency',
  'callsPerSecond',
  'maximumAttempts',
  'maxFailures',
  'maxFailurePercent',
  'minSample',
  'onFailureLimit',
  'deadline',
  'metadata',
] as const;

/** Inclusive. Priority is Temporal's: 1 goes first, 5 last. */
const INTEGER_BOUNDS = {
  priority: { from: 1, to: 5 },
  concurrency: { from: 1, to: 1_000 },
  callsPerSecond: { from: 1, to: 100_000 },
  maximumAttempts: { from: 1, to: 100 },
  maxFailures: { from: 0, to: 999_999_999 },
  minSample: { from: 1, to: 999_999_999 },
} as const;
type IntegerField = keyof typeof INTEGER_BOUNDS;

type Policy = { readonly [name in IntegerField]?: number } & FailureLimits & {
    /** RFC 3339, of any time (`refuseDeadline`). */
    readonly deadline?: string;
  };

export interface SubmitFields {
  readonly target: string | null;
  /** Absent members leave the choice to the target. */
  readonly policy: Policy;
  /** RFC 3339, of any time (`refusePast`); null: not given. */
  readonly scheduledAt: string | null;
  /** null: not given, which differs from `{}` where a query and a form are merged. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/**
 * Reads the fields; names other than SUBMIT_FIELDS are the caller's to refuse or to ignore.
 * Throws `invalid_policy` that names the field.
 */
export function readSubmitFields(fields: Readonly<Record<string, string>>): SubmitFields {
  const policy: Partial<Record<IntegerField, number>> = {};
  for (const name of Object.keys(INTEGER_BOUNDS) as IntegerField[]) {
    const text = fields[name];
    if (text !== undefined) policy[name] = readInteger(name, text);
  }
  const { metadata, scheduledAt, maxFailurePercent, onFailureLimit, deadline } = fields;
  return {
    target: fields['target'] ?? null,
    policy: {
      ...policy,
      ...(maxFailurePercent === undefined ? {} : { maxFailurePercent: readPercent(maxFailurePercent) }),
      ...(onFailureLimit === undefined ? {} : { onFailureLimit: readAction(onFailureLimit) }),
      ...(deadline === undefined ? {} : { deadline: readTime('deadline', deadline) }),
    },
    scheduledAt: scheduledAt === undefined ? null : readTime('scheduledAt', scheduledAt),
    metadata: metadata === undefined ? null : readMetadata(metadata),
  };
}

/** The same bounds for what is changed later. Throws `invalid_policy` that names the field. */
export function readAmendment(amendment: Amendment): Amendment {
  const { concurrency, callsPerSecond, priority, scheduledAt, maxFailures, maxFailurePercent, deadline } = amendment;
  return {
    ...(concurrency === undefined ? {} : { concurrency: checkInteger('concurrency', concurrency) }),
    ...(callsPerSecond === undefined
      ? {}
      : { callsPerSecond: orNull(callsPerSecond, (value) => checkInteger('callsPerSecond', value)) }),
    ...(priority === undefined ? {} : { priority: checkInteger('priority', priority) }),
    ...(scheduledAt === undefined ? {} : { scheduledAt: readTime('scheduledAt', scheduledAt) }),
    ...(maxFailures === undefined
      ? {}
      : { maxFailures: orNull(maxFailures, (value) => checkInteger('maxFailures', value)) }),
    ...(maxFailurePercent === undefined ? {} : { maxFailurePercent: orNull(maxFailurePercent, checkPercent) }),
    ...(deadline === undefined ? {} : { deadline: orNull(deadline, (text) => readTime('deadline', text)) }),
  };
}

/** null: no such limit any more. */
function orNull<Value>(value: Value | null, check: (value: Value) => Value): Value | null {
  return value === null ? null : check(value);
}

function readPercent(text: string): number {
  return checkPercent(/^\d{1,3}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN);
}

function checkPercent(value: number): number {
  if (value >= 0 && value <= 100) return value;
  throw invalid('maxFailurePercent', 'maxFailurePercent must be a number from 0 to 100');
}

function readAction(text: string): FailureAction {
  const action = FAILURE_ACTIONS.find((name) => name === text);
  if (action !== undefined) return action;
  throw invalid('onFailureLimit', `onFailureLimit must be one of: ${FAILURE_ACTIONS.join(', ')}`);
}

function readInteger(name: IntegerField, text: string): number {
  return checkInteger(name, /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN);
}

function checkInteger(name: IntegerField, value: number): number {
  const { from, to } = INTEGER_BOUNDS[name];
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw invalid(name, `${name} must be an integer from ${from} to ${to}`);
}

function readMetadata(text: string): Readonly<Record<string, unknown>> {
  if (Buffer.byteLength(text) > METADATA_BYTES_MAX) {
    throw invalid('metadata', `metadata must not be larger than ${METADATA_BYTES_MAX} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('metadata', 'metadata must be a JSON object', cause);
  }
  if (!isRecord(value)) throw invalid('metadata', 'metadata must be a JSON object');
  if (isDeeperThan(METADATA_DEPTH_MAX, value)) throw invalid('metadata', METADATA_TOO_DEEP);
  return value;
}

export const METADATA_TOO_DEEP = `metadata must not be nested more than ${METADATA_DEPTH_MAX} deep`;

/** Never goes deeper than `depth` itself. */
export function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((member) => isDeeperThan(depth - 1, member));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** True for a date and time with seconds and offset that exists; `2026-02-30T…` does not. */
export function isTimestamp(text: string): boolean {
  if (!RFC_3339.test(text)) return false;
  const [year, month, day] = text.slice(0, 10).split('-').map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  // Date.parse rolls the 30th of February over to March; the day must survive the round trip.
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCDate() === day && date.getUTCMonth() === month - 1 && !Number.isNaN(Date.parse(text));
}

/** To run at once what was meant for later would be worse than to say so. Throws `invalid_policy`. */
export function refusePast(scheduledAt: string | null, nowMs: number): void {
  if (scheduledAt !== null && !isAhead(scheduledAt, nowMs)) throw invalid('scheduledAt', 'scheduledAt is in the past');
}

/** What nobody could keep is refused: a deadline that has passed, or that comes before the work. Throws `invalid_policy`. */
export function refuseDeadline(deadline: string | null, scheduledAt: string | null, nowMs: number): void {
  if (deadline === null) return;
  if (!isAhead(deadline, nowMs)) throw invalid('deadline', 'deadline is in the past');
  if (isAhead(scheduledAt, Date.parse(deadline) - 1)) {
    throw invalid('deadline', 'deadline must be later than scheduledAt');
  }
}

function readTime(name: 'scheduledAt' | 'deadline', text: string): string {
  if (isTimestamp(text)) return new Date(text).toISOString();
  throw invalid(name, `${name} must be an RFC 3339 date and time with an offset`);
}

function invalid(parameter: string, detail: string, cause?: unknown): TrancheError {
  const facts = { errors: [{ code: 'invalid_policy', detail, parameter }] };
  return new TrancheError('invalid_policy', detail, facts, cause === undefined ? undefined : { cause });
}
