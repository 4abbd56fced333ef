/** Failures by code: how often, one example, and where it was first, so that a million failed rows read as a few lines. */
import type { ItemError } from '../../model/outcome.ts';
import { outcomeInLine } from '../../model/result-line.ts';
import { splitLines } from '../../storage/segments.ts';
import { createLru } from '../lru.ts';
import type { ErrorGroup, Results, ResultsRequest } from '../operations.ts';

/** Codes are a target's or a vendor's: what invents one per item must not fill the memory. The rest are `other`. */
const GROUPS_MAX = 1_000;
const OTHER = 'other';
const ENDED_KNOWN_MAX = 200;

/** A failed item without an error of its own. */
const NAMELESS: ItemError = { code: 'unknown', message: 'nothing can tell what became of it', retryable: false };

export function createErrorGroups(results: (request: ResultsRequest) => Promise<Results>) {
  const ended = createLru<readonly ErrorGroup[]>(ENDED_KNOWN_MAX);
  const counting = new Map<string, Promise<readonly ErrorGroup[]>>();

  async function count(account: string, id: string): Promise<readonly ErrorGroup[]> {
    const { operation, complete, lines } = await results({ account, id });
    const name = `${account}/${id}/${operation.run}`;
    const known = complete ? ended.get(name) : undefined;
    if (known !== undefined) return known;
    const { failed, unknown } = operation.counts;
    const groups = complete && failed + unknown === 0 ? [] : await groupErrors(lines);
    if (complete) ended.set(name, groups);
    return groups;
  }

  return async (account: string, id: string): Promise<readonly ErrorGroup[]> => {
    const name = `${account}/${id}`;
    const running = counting.get(name) ?? count(account, id).finally(() => counting.delete(name));
    counting.set(name, running);
    return await running;
  };
}

/** Most frequent first. */
export async function groupErrors(chunks: AsyncIterable<Buffer>): Promise<readonly ErrorGroup[]> {
  const groups = new Map<string, ErrorGroup>();
  for await (const lines of chunks) {
    for (const line of splitLines(lines)) {
      const outcome = outcomeInLine(line);
      if (outcome === 'failed' || outcome === 'unknown') countLine(groups, line);
    }
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || a.firstIndex - b.firstIndex);
}

function countLine(groups: Map<string, ErrorGroup>, line: Buffer): void {
  // Only result lines come here, and they are rendered in one place.
  const { index, error = NAMELESS } = JSON.parse(line.toString('utf8')) as { index: number; error?: ItemError };
  const code = groups.has(error.code) || groups.size < GROUPS_MAX ? error.code : OTHER;
  const standing = groups.get(code);
  const group = { code, count: 1, sample: error.message, firstIndex: index, retryable: error.retryable };
  groups.set(code, standing === undefined ? group : { ...standing, count: standing.count + 1 });
}
