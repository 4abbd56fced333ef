/** Says which trace a call belongs to, and gives it a span of its own (W3C Trace Context). */
import { randomFillSync } from 'node:crypto';

const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_BYTES = 8;
/** Random bytes are drawn for so many calls at once: one draw a call would be felt. */
const SPANS_DRAWN = 512;

/** The header's value; null where there is no trace. */
export type Traceparent = (traceId: string | undefined) => string | null;

export function createTraceparent(): Traceparent {
  const drawn = Buffer.alloc(SPAN_BYTES * SPANS_DRAWN);
  let at = drawn.length;
  return (traceId) => {
    if (traceId === undefined || !TRACE_ID.test(traceId)) return null;
    if (at === drawn.length) {
      randomFillSync(drawn);
      at = 0;
    }
    const span = drawn.toString('hex', at, at + SPAN_BYTES);
    at += SPAN_BYTES;
    return `00-${traceId}-${span}-01`;
  };
}
