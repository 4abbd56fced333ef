/** `PATCH /v1/operations/{id}`: another policy for an operation that goes on. */
import { TrancheError } from '../../model/errors.ts';
import type { Amendment } from '../../model/operation.ts';
import { type AppDeps, actorOf } from '../context.ts';
import { readQuery } from '../query.ts';
import { renderOperation, statusHeaders } from '../render.ts';
import { type Guarded, type Handler, needs, operationId } from '../routes.ts';
import { readSmallJson } from '../small-json.ts';

const MEDIA_TYPES = ['application/json', 'application/merge-patch+json'];

/** Beside the GET of the same path, which native.ts registers. */
export function amendRoute(deps: AppDeps): Guarded {
  return needs('control', amendHandler(deps));
}

function amendHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    const id = operationId(c);
    readQuery(c, []);
    const amendment = readAmendment(await readSmallJson(c, { mediaTypes: MEDIA_TYPES }));
    const { operation, settled } = await operations.amend(c.get('account'), id, amendment, actorOf(c));
    return c.json(renderOperation(operation), settled ? 200 : 202, statusHeaders(operation));
  };
}

type Check = (value: unknown) => string | null;
const number: Check = (value) => (typeof value === 'number' ? null : 'must be a number');
const numberOrNull: Check = (value) => (value === null ? null : number(value) && 'must be a number or null');
const textOrNull: Check = (value) =>
  value === null ? null : text(value) && 'must be an RFC 3339 date and time or null';
const text: Check = (value) => (typeof value === 'string' ? null : 'must be an RFC 3339 date and time');

/** The kinds of the members; what they may be is the verb's to say. */
const MEMBERS: Readonly<Record<keyof Amendment, Check>> = {
  concurrency: number,
  callsPerSecond: numberOrNull,
  priority: number,
  scheduledAt: text,
  maxFailures: numberOrNull,
  maxFailurePercent: numberOrNull,
  deadline: textOrNull,
};

/** Throws `invalid_policy` that names every member at fault. */
export function readAmendment(body: unknown): Amendment {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid([], 'The body must be an object');
  const members = Object.entries(body);
  if (members.length === 0) throw invalid([], `There is nothing to change; known here: ${KNOWN}`);
  const faults = members.flatMap(([parameter, value]) => {
    const check = Object.hasOwn(MEMBERS, parameter) ? MEMBERS[parameter as keyof Amendment] : unknownMember;
    const detail = check(value);
    return detail === null ? [] : [{ code: 'invalid_policy', detail, parameter: parameter.slice(0, 64) }];
  });
  if (faults.length > 0) {
    const shown = faults.slice(0, FAULTS_SHOWN_MAX);
    throw invalid(shown, shown.map(({ parameter, detail }) => `${parameter}: ${detail}`).join('; '));
  }
  // Every member is one of an amendment's and of its kind.
  return body as Amendment;
}

const FAULTS_SHOWN_MAX = 10;
const KNOWN = Object.keys(MEMBERS).join(', ');
const unknownMember: Check = () => `is not known; known here: ${KNOWN}`;

function invalid(errors: readonly { code: string; detail: string; parameter: string }[], message: string) {
  return new TrancheError('invalid_policy', message, errors.length === 0 ? {} : { errors });
}
