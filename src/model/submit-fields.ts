/** What a client may say beside the items, as text fields: a query string, or the form fields of a multipart body. */
import { TrancheError } from './errors.ts';
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
  'metadata',
] as const;

/** Inclusive. Priority is Temporal's: 1 goes first, 5 last. */
const INTEGER_BOUNDS = {
  priority: { from: 1, to: 5 },
  concurrency: { from: 1, to: 1_000 },
  callsPerSecond: { from: 1, to: 100_000 },
  maximumAttempts: { from: 1, to: 100 },
} as const;
type IntegerField = keyof typeof INTEGER_BOUNDS;

export interface SubmitFields {
  readonly target: string | null;
  /** Absent members leave the choice to the target. */
  readonly policy: { readonly [name in IntegerField]?: number };
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
  const metadata = fields['metadata'];
  const scheduledAt = fields['scheduledAt'];
  return {
    target: fields['target'] ?? null,
    policy,
    scheduledAt: scheduledAt === undefined ? null : readTime(scheduledAt),
    metadata: metadata === undefined ? null : readMetadata(metadata),
  };
}

/** The same bounds for what is changed later. Throws `invalid_policy` that names the field. */
export function readAmendment({ concurrency, callsPerSecond, priority, scheduledAt }: Amendment): Amendment {
  return {
    ...(concurrency === undefined ? {} : { concurrency: checkInteger('concurrency', concurrency) }),
    ...(callsPerSecond === undefined ? {} : { callsPerSecond: readCap(callsPerSecond) }),
    ...(priority === undefined ? {} : { priority: checkInteger('priority', priority) }),
    ...(scheduledAt === undefined ? {} : { scheduledAt: readTime(scheduledAt) }),
  };
}

/** null: no cap any more. */
function readCap(callsPerSecond: number | null): number | null {
  return callsPerSecond === null ? null : checkInteger('callsPerSecond', callsPerSecond);
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

function readTime(text: string): string {
  if (isTimestamp(text)) return new Date(text).toISOString();
  throw invalid('scheduledAt', 'scheduledAt must be an RFC 3339 date and time with an offset');
}

function invalid(parameter: string, detail: string, cause?: unknown): TrancheError {
  const facts = { errors: [{ code: 'invalid_policy', detail, parameter }] };
  return new TrancheError('invalid_policy', detail, facts, cause === undefined ? undefined : { cause });
}
