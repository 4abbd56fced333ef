/** The result line of an item that its run had not begun when it ended: what an earlier run left in doubt stays so. */
import { type Chunk, indexAt, isInDoubtAt } from '../model/chunk.ts';
import { type ResultLine, renderResultLine } from '../model/result-line.ts';

export function neverBegunLine(chunk: Chunk, position: number, label: ResultLine['label']): Buffer {
  const common = { index: indexAt(chunk, position), line: chunk.lines[position] ?? 0, label, attempts: 0 } as const;
  const fate = isInDoubtAt(chunk, position) ? IN_DOUBT : ({ outcome: 'cancelled' } as const);
  return Buffer.from(renderResultLine({ ...common, ...fate }));
}

const IN_DOUBT = {
  outcome: 'unknown',
  error: {
    code: 'cancelled_in_doubt',
    message:
      'a retry of this item was cancelled before it began; an earlier call, which nobody answered, may have taken effect',
    retryable: true,
  },
} as const;
