/** The small writes of an operation workflow: the checkpoint while it runs, the summary at its end. */
import type { Progress } from '../model/operation.ts';
import type { CheckpointInput, FinalizeInput } from '../model/workflow-contract.ts';
import type { ActivityDeps } from './deps.ts';

export function createFinalize(deps: Pick<ActivityDeps, 'records'>) {
  return {
    async checkpoint({ ref, progress }: CheckpointInput): Promise<void> {
      await deps.records.putCheckpoint(ref.account, ref.id, progress);
    },

    /**
     * The summary stands before the marker goes: whoever finds the marker finds work or an end. Answers the summary that
     * stands, which a lost attempt may have written.
     */
    async finalize({ ref, summary }: FinalizeInput): Promise<Progress> {
      const ours = await deps.records.createSummary(ref.account, ref.id, summary);
      const standing = ours ? summary : await deps.records.readSummary(ref.account, ref.id, summary.run);
      await deps.records.deleteOpen(ref.uid, summary.run);
      return standing ?? summary;
    },
  };
}
