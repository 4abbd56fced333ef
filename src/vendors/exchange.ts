/** One dispatched call, from its bytes going out to its answer, time-out, abort or loss. */
import type { Dispatcher } from 'undici';
import { VENDOR_BODY_BYTES_MAX } from '../model/limits.ts';
import type { Transient } from '../model/outcome.ts';
import { callsUnder } from './abort-set.ts';
import { abortedCall, classifyAnswer, classifyFailure, timedOut, unreachable } from './classify.ts';
import { createDeadlines } from './deadlines.ts';
import type { CallContext, NotCalled, VendorAnswer } from './vendor.ts';

export const NOT_CALLED: NotCalled = { kind: 'not_called' };

/**
 * Goes below `Pool.request` to the dispatch handler: only there is it known whether bytes may have gone out, and no
 * stream is made for a body of a few bytes. `over` is called once, when the connection is free again: that may be
 * after the promise is resolved, which happens at the time-out or the abort.
 */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  context: CallContext,
  { over, notCalled }: { readonly over: () => void; readonly notCalled: () => void },
): Promise<VendorAnswer | Transient | NotCalled> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | null = null;
    let sent = false;
    let settled = false;
    let status = 0;
    let retryAfter: string | undefined;
    const body = createBody();

    function settle(result: VendorAnswer | Transient | NotCalled): void {
      if (settled) return;
      settled = true;
      deadline.cancel();
      inFlight.delete(giveUp);
      if (result === NOT_CALLED) notCalled();
      resolve(result);
    }
    function giveUp(): void {
      settle(sent ? abortedCall(true) : NOT_CALLED);
      controller?.abort(GIVEN_UP);
    }
    const deadline = deadlines.add(context.timeoutMs, () => {
      settle(sent ? timedOut() : unreachable('time-out'));
      controller?.abort(GIVEN_UP);
    });
    const inFlight = callsUnder(context.signal);
    inFlight.add(giveUp);

    dispatcher.dispatch(options, {
      onRequestStart(started) {
        controller = started;
        if (!settled && context.mayCall()) {
          sent = true;
          return;
        }
        settle(NOT_CALLED);
        started.abort(GIVEN_UP);
      },
      onResponseStart(_controller, statusCode, headers) {
        status = statusCode;
        const header = headers['retry-after'];
        retryAfter = typeof header === 'string' ? header : header?.[0];
      },
      onResponseData(_controller, part) {
        // The rest of a longer body is not worth its time: the connection goes, the answer stands.
        if (body.add(part) <= VENDOR_BODY_BYTES_MAX) return;
        settle(classifyAnswer(status, retryAfter, body.text(), Date.now()));
        controller?.abort(GIVEN_UP);
      },
      onResponseEnd() {
        if (!settled) settle(classifyAnswer(status, retryAfter, body.text(), Date.now()));
        over();
      },
      onResponseError(_controller, error) {
        settle(classifyFailure(error, sent));
        over();
      },
    });
  });
}

const deadlines = createDeadlines();
const GIVEN_UP = new Error('call given up');

/** Most bodies come in one piece: only more of them make a list. */
function createBody() {
  let first: Buffer | null = null;
  let rest: Buffer[] | null = null;
  let bytes = 0;
  return {
    /** Returns the bytes so far. */
    add(part: Buffer): number {
      if (first === null) first = part;
      else if (rest === null) rest = [first, part];
      else rest.push(part);
      bytes += part.length;
      return bytes;
    },
    text(): string {
      if (first === null) return '';
      return (rest === null ? first : Buffer.concat(rest)).toString('utf8', 0, VENDOR_BODY_BYTES_MAX);
    },
  };
}
