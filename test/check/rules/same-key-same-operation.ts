/** The same key and payload are the same operation for ever, another payload is refused, and what was accepted exists. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import type { Exchange } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';

export const sameKeySameOperation: Rule = {
  name: 'same key, same operation',
  check(arranged, witness) {
    for (const submissions of byKey(arranged)) checkKey(submissions, witness);
    for (const operation of arranged.operations) {
      checkStands(operation, witness);
      checkPayloads(operation, witness);
    }
  },
};

function byKey({ exchanges }: Arranged): Iterable<readonly Exchange[]> {
  const keyed = exchanges.filter(({ submitted }) => submitted !== null && submitted.key !== null);
  const name = ({ account, submitted }: Exchange) => JSON.stringify([account, submitted?.surface, submitted?.key]);
  return Map.groupBy(keyed, name).values();
}

/** Submissions of one account under one key, by time. */
function checkKey(submissions: readonly Exchange[], witness: Witness): void {
  const accepted = submissions.filter(({ status }) => status !== null && status < 300);
  const { account, submitted } = submissions[0] ?? {};
  const key = `${account}: the key ${submitted?.key}`;
  const ids = new Set(accepted.map(({ operationId }) => operationId));
  const payloads = new Set(accepted.map((each) => each.submitted?.payload));
  witness.fact(submissions.length);
  if (ids.size > 1) witness.violation(`${key} names ${ids.size} operations: ${[...ids].join(', ')}`);
  if (payloads.size > 1) witness.violation(`${key} was accepted with ${payloads.size} payloads`);
  checkRefusals(key, submissions, witness);
  checkReplays(key, accepted, witness);
}

/** A key is called reused only where another payload was sent under it, and not after the true one stood. */
function checkRefusals(key: string, submissions: readonly Exchange[], witness: Witness): void {
  for (const { code, sentAtMs, endedAtMs, submitted } of submissions) {
    if (code !== 'idempotency_key_reused') continue;
    const others = submissions.filter((other) => other.submitted?.payload !== submitted?.payload);
    if (!others.some((other) => other.sentAtMs < endedAtMs)) {
      witness.violation(`${key} is called reused, and no other payload was ever sent under it`);
    }
    const isOwn = (other: Exchange) => other.submitted?.payload === submitted?.payload && (other.status ?? 999) < 300;
    if (submissions.some((other) => isOwn(other) && other.endedAtMs < sentAtMs)) {
      witness.violation(`${key} is called reused for the very payload that was accepted`);
    }
  }
}

/** One request is the first, and every other one is told that it was not. */
function checkReplays(key: string, accepted: readonly Exchange[], witness: Witness): void {
  const firsts = accepted.filter(({ replayed }) => !replayed);
  if (firsts.length > 1) witness.violation(`${key} was accepted as new ${firsts.length} times`);
}

/** From the moment when a client knows of it, until somebody purges it. */
function checkStands(operation: OperationSeen, witness: Witness): void {
  const { acceptedAtMs, requests } = operation;
  if (acceptedAtMs === null) return;
  const purges = requests.filter(({ action }) => action === 'purge');
  for (const { status, sentAtMs, endedAtMs, method } of requests) {
    if (sentAtMs < acceptedAtMs) continue;
    witness.fact();
    if (status === 404) witness.violation(`${method} finds nothing where an operation had been accepted`, operation);
    if (status === 410 && !purges.some((purge) => purge.sentAtMs < endedAtMs)) {
      witness.violation(`${method} says that it is gone, and nobody purged it`, operation);
    }
  }
}

/** One operation is one request: what came under another payload must not have become the same. */
function checkPayloads(operation: OperationSeen, witness: Witness): void {
  const accepted = operation.submissions.filter(({ status }) => status !== null && status < 300);
  const payloads = new Set(accepted.map(({ submitted }) => submitted?.payload));
  const traces = new Set(operation.readings.map(({ traceId }) => traceId).filter((traceId) => traceId !== null));
  witness.fact();
  if (payloads.size > 1) witness.violation(`${payloads.size} payloads became one operation`, operation);
  if (traces.size > 1) witness.violation(`one id stands for ${traces.size} acceptances`, operation);
}
