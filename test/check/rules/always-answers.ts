/** A server error is 503 with `Retry-After`, and only where something was down; a status comes within seconds, always. */
import type { Arranged } from '../arrange.ts';
import { isTouched, isTouchedAt } from '../explain.ts';
import { type Exchange, FAULT_KINDS, type FaultKind } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';

export const STATUS_MAX_MS = 5_000;
/** Turns of the event loop, and of other processes, that a status may take: each waits for the machine. */
const STEPS = 10;
/** What an API process needs to take and keep a request. */
const NEEDED: readonly FaultKind[] = FAULT_KINDS.filter((kind) => kind !== 'worker' && kind !== 'vendor');
/** A request that was refused may have met a link that was found broken before. */
const BEFORE_MS = 15_000;

export const alwaysAnswers: Rule = {
  name: 'always answers',
  check(arranged, witness) {
    for (const exchange of arranged.exchanges) {
      checkError(arranged, exchange, witness);
      const isStream = exchange.path.includes('/events');
      if (exchange.action === 'look' && !isStream) checkPrompt(arranged, exchange, witness);
    }
  },
};

function checkError({ faults }: Arranged, exchange: Exchange, witness: Witness): void {
  const { status, code, retryAfter, method, path, sentAtMs, endedAtMs } = exchange;
  witness.fact();
  if (status === null || status < 500) return;
  const asked = `${method} ${path}`;
  if (status !== 503) witness.violation(`${asked} is answered ${status} (${code})`);
  else if (!retryAfter) witness.violation(`${asked} is answered 503 (${code}) without Retry-After`);
  else if (!isTouched(faults, NEEDED, sentAtMs - BEFORE_MS, endedAtMs)) {
    witness.violation(`${asked} is answered 503 (${code}), and nothing was down`);
  }
}

function checkPrompt({ faults, frame }: Arranged, exchange: Exchange, witness: Witness): void {
  const { status, code, sentAtMs, endedAtMs, server, method, path } = exchange;
  const isAway = isTouchedAt(faults, { what: 'api', whom: server }, sentAtMs, endedAtMs);
  if (isAway || isTouched(faults, ['link_client'], sentAtMs, endedAtMs)) return;
  witness.fact();
  const took = Math.round(endedAtMs - sentAtMs);
  if (status === null) witness.violation(`${method} ${path} is not answered (${code}) by ${server}, which was alive`);
  else if (took > STATUS_MAX_MS + STEPS * (frame.machineLagMs ?? 0))
    witness.violation(`${method} ${path} is answered after ${took} ms by ${server}`);
}
