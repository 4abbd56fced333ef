/** Reads what the log says of an operation whose workflow was lost, so that its next workflow goes on from there. */
import { heartbeat } from '@temporalio/activity';
import type { SurveyAnswer, SurveyInput } from '../model/activity-contract.ts';
import { reach } from '../model/crash-point.ts';
import { addTallies, decidedItems, EMPTY_TALLY } from '../model/operation.ts';
import type { ChunkState } from '../model/workflow-contract.ts';
import type { ActivityDeps } from './deps.ts';

/** Chunks read at once. */
const READ_AHEAD = 16;

export function createSurvey(deps: Pick<ActivityDeps, 'records' | 'segments'>) {
  return async function survey(input: SurveyInput): Promise<SurveyAnswer> {
    const { ref, run, chunkItems } = input;
    const found = await deps.records.readCheckpoint(ref.account, ref.id);
    const last = found?.run === run ? found : null;
    let finished = EMPTY_TALLY;
    const open: ChunkState[] = [];
    let nextChunk = 0;
    for (let first = 0; first < chunkItems.length; first += READ_AHEAD) {
      const ordinals = Array.from({ length: Math.min(READ_AHEAD, chunkItems.length - first) }, (_, i) => first + i);
      const standings = await Promise.all(ordinals.map((ordinal) => standingOf(deps, { uid: ref.uid, run, ordinal })));
      for (const [i, { tally, begun }] of standings.entries()) {
        const ordinal = first + i;
        if (begun) nextChunk = ordinal + 1;
        if (decidedItems(tally) >= (chunkItems[ordinal] ?? 0)) finished = addTallies(finished, tally);
        else open.push({ ordinal, tally, boxMs: input.boxMs, probe: false, outages: 0, lost: true });
      }
      heartbeat();
    }
    // Chunks are begun in order: beyond the last one with a trace, a window's worth may have been begun without one.
    const mayHaveBegun = last === null ? !input.scheduled : last.startedAt !== null;
    const begunAtMost = Math.min(chunkItems.length, nextChunk + (mayHaveBegun ? input.windowMax : 0));
    reach('survey.read');
    return {
      ended: (await deps.records.readSummary(ref.account, ref.id, run)) !== null,
      paused: last?.state === 'paused' || last?.state === 'pausing' || last?.pausedAhead === true,
      cancelled: last?.state === 'cancelling',
      revision: (last?.revision ?? 0) + 1_000,
      startedAt: last?.startedAt ?? null,
      amended: last?.amended ?? {},
      ...(last?.halt === undefined ? {} : { halt: last.halt }),
      ...(last?.countedFrom === undefined ? {} : { countedFrom: last.countedFrom }),
      nextChunk: begunAtMost,
      tally: finished,
      open: open.filter(({ ordinal }) => ordinal < begunAtMost),
    };
  };
}

async function standingOf(deps: Pick<ActivityDeps, 'segments'>, at: { uid: string; run: number; ordinal: number }) {
  const [{ tally, begun }, journals] = await Promise.all([deps.segments.standing(at), deps.segments.journals(at)]);
  return { tally, begun: begun || journals.length > 0 };
}
