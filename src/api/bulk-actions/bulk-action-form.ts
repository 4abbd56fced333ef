/** What the form fields of a bulk action mean. Fields that nobody asked for are ignored: real clients send more. */
import { TrancheError } from '../../model/errors.ts';
import { METADATA_BYTES_MAX, METADATA_DEPTH_MAX } from '../../model/limits.ts';
import { isDeeperThan, isTimestamp, METADATA_TOO_DEEP, readSubmitFields } from '../../model/submit-fields.ts';
import type { FormFields, TargetView } from '../../operations/operations.ts';

/** The one there is; any case. */
export const ACTION_TYPE = 'BULK_UPDATE';

export interface FormReader {
  readonly targets: readonly TargetView[];
  /** Throws `forbidden`; null where the field names nobody. */
  readonly accountNamed: (accountId: string | undefined) => string | null;
}

/** Throws `invalid_field`, `unknown_target`, `invalid_policy`, and what `accountNamed` throws. */
export function readBulkActionForm(fields: Readonly<Record<string, string>>, reader: FormReader): FormFields {
  const given = (name: string) => (Object.hasOwn(fields, name) ? fields[name]?.trim() || undefined : undefined);
  if (given('actionType')?.toUpperCase() !== ACTION_TYPE) {
    throw invalidField('actionType', `actionType must be ${ACTION_TYPE}`, [ACTION_TYPE]);
  }
  const target = targetNamed(reader.targets, given('entityType'));
  const account = reader.accountNamed(given('accountId'));
  const asked = policyFields(given);
  const scheduledAt = given('scheduledAt');
  const metadata = given('metadata');
  return {
    target: target.name,
    ...(account === null ? {} : { account }),
    ...(Object.keys(asked).length === 0 ? {} : { policy: readSubmitFields(asked).policy }),
    ...(scheduledAt === undefined ? {} : { scheduledAt: readTime(scheduledAt) }),
    ...(metadata === undefined ? {} : { metadata: readMetadata(metadata) }),
  };
}

const POLICY_FIELDS = [
  'priority',
  'maxFailures',
  'maxFailurePercent',
  'minSample',
  'onFailureLimit',
  'deadline',
] as const;

function policyFields(given: (name: string) => string | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    POLICY_FIELDS.flatMap((name) => {
      const text = given(name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

/** By its entity or its own name; any case. */
function targetNamed(targets: readonly TargetView[], entityType: string | undefined): TargetView {
  const wanted = entityType?.toLowerCase();
  const found = targets.find(({ name, entity }) => entity.toLowerCase() === wanted || name === wanted);
  if (found !== undefined) return found;
  const entities = targets.map(({ entity }) => entity);
  const detail = `entityType must be one of: ${entities.join(', ')}`;
  const errors = [{ code: 'unknown_target', detail, parameter: 'entityType' }];
  throw new TrancheError('unknown_target', detail, { allowed: entities, errors });
}

const ISO_8601 =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: ?([Zz]|[+-]\d{2}(?::?\d{2})?))?)?$/;

/**
 * A date, or a date and time; without an offset it is UTC. A time in the past means at once, and is kept as it is:
 * the same form sent again is the same request, however much later.
 */
function readTime(text: string): string {
  const [, date, time = '00:00', seconds = '00', fraction, offset = 'Z'] = ISO_8601.exec(text) ?? [];
  const whole = offset.replace(/^([+-]\d{2}):?(\d{2})?$/, (_, hours: string, minutes = '00') => `${hours}:${minutes}`);
  const timestamp = `${date}T${time}:${seconds}${fraction === undefined ? '' : `.${fraction}`}${whole}`;
  if (date !== undefined && isTimestamp(timestamp)) return new Date(timestamp).toISOString();
  throw invalidField('scheduledAt', 'scheduledAt must be an ISO 8601 date and time, e.g. 2027-01-31T09:00:00Z');
}

/** A JSON object is kept as it is, anything else as `{"value": …}`. */
function readMetadata(text: string): Readonly<Record<string, unknown>> {
  if (Buffer.byteLength(text) > METADATA_BYTES_MAX) {
    throw invalidField('metadata', `metadata must not be larger than ${METADATA_BYTES_MAX} bytes`);
  }
  const value = parsedOrText(text);
  if (isDeeperThan(METADATA_DEPTH_MAX, value)) throw invalidField('metadata', METADATA_TOO_DEEP);
  return isMembers(value) ? value : { value };
}

function parsedOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalidField(parameter: string, detail: string, allowed?: readonly string[]): TrancheError {
  const errors = [{ code: 'invalid_field', detail, parameter }];
  return new TrancheError('invalid_field', detail, { errors, ...(allowed === undefined ? {} : { allowed }) });
}
