/** Keeps an operation's checkpoint: what readers are shown who find no worker. */
import type { Progress } from '../model/operation.ts';
import type { OperationRef } from '../model/workflow-contract.ts';
import { checkpoint } from './activities.ts';

export interface Checkpoints {
  /** Resolves once the checkpoint says what is true now, or something later. */
  save(): Promise<void>;
  /** True: none is being written. */
  isIdle(): boolean;
  /** True: none is being written, and the last one is so old that a change is worth another. */
  isDue(): boolean;
}

export interface CheckpointSource {
  readonly ref: OperationRef;
  readonly progress: () => Progress;
  /** True: nothing that is known is worth keeping any more. */
  readonly hasEnded: () => boolean;
}

const CHECKPOINT_EVERY_MS = 5_000;

export function createCheckpoints({ ref, progress, hasEnded }: CheckpointSource): Checkpoints {
  let savedAtMs = Date.now();
  let saving: Promise<void> | null = null;
  let unsaved = false;

  async function saveAll(): Promise<void> {
    while (unsaved && !hasEnded()) {
      unsaved = false;
      savedAtMs = Date.now();
      // It is tried for ever; what else goes wrong must not stop the work.
      await checkpoint({ version: 1, ref, progress: progress() }).catch(() => undefined);
    }
  }

  return {
    isIdle: () => saving === null,
    isDue: () => saving === null && Date.now() - savedAtMs >= CHECKPOINT_EVERY_MS,
    save() {
      unsaved = true;
      saving ??= saveAll().finally(() => {
        saving = null;
      });
      return saving;
    },
  };
}
