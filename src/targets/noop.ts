/** Applies an item to nothing, in process and without I/O: what benchmarks and tests of the engine run on. */
import { z } from 'zod';
import { CHUNK_ITEMS_MAX } from '../model/limits.ts';
import { memberOf } from './exact-json.ts';
import { defineTarget } from './target.ts';

/** Any JSON value. `{"fail": "<code>"}` fails with that code. */
export const noop = defineTarget({
  name: 'noop',
  item: z.unknown(),
  guarantee: 'idempotent',
  onDoubt: 'resend',
  vendor: null,
  // Computation gains nothing from many chunks: each costs a slice.
  chunkItemsFirst: CHUNK_ITEMS_MAX,
  plan: { sliceConcurrency: 1, journal: false },
  applyOne({ item }) {
    const code = memberOf(item, 'fail');
    if (typeof code !== 'string') return SUCCEEDED;
    return { kind: 'failed', error: { code, message: 'the item asked to fail', retryable: false } };
  },
});

const SUCCEEDED = { kind: 'succeeded' } as const;
