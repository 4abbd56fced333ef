/** Why items of an ended operation were skipped, counted from its results. */
import { splitLines } from '../../storage/segments.ts';
import { createLru } from '../lru.ts';
import type { OperationView, Results, ResultsRequest } from '../operations.ts';

/** Reasons are a target's: what invents one per item must not fill the memory. The rest are `other`. */
const REASONS_MAX = 100;
const OTHER = 'other';
const ENDED_KNOWN_MAX = 1_000;

export type SkipReasons = Readonly<Record<string, number>>;

/** Walks the results once per operation and run, whoever asks at the same time. */
export function createSkipReasons(results: (request: ResultsRequest) => Promise<Results>) {
  const ended = createLru<Promise<SkipReasons>>(ENDED_KNOWN_MAX);
  return async ({ account, id, run, counts }: OperationView): Promise<SkipReasons> => {
    if (counts.skipped === 0) return {};
    const name = `${account}/${id}/${run}`;
    const known = ended.get(name);
    if (known !== undefined) return await known;
    const counting = results({ account, id, outcome: 'skipped' }).then(async ({ operation, complete, lines }) => {
      // A retry has begun meanwhile: these are not the reasons of the run that was asked about.
      if (!complete || operation.run !== run) ended.delete(name);
      return await countReasons(lines);
    });
    ended.set(name, counting);
    counting.catch(() => ended.delete(name));
    return await counting;
  };
}

export async function countReasons(skipped: AsyncIterable<Buffer>): Promise<SkipReasons> {
  const counts = new Map<string, number>();
  for await (const lines of skipped) {
    for (const line of splitLines(lines)) {
      // Only result lines come here, and they are rendered in one place.
      const { reason = OTHER } = JSON.parse(line.toString('utf8')) as { reason?: string };
      const name = counts.has(reason) || counts.size < REASONS_MAX ? reason : OTHER;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return Object.fromEntries(counts);
}
