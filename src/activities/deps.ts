/** What activities are given; the one wiring place fills it in. */
import type { WorkflowService } from '@temporalio/client';
import type { Log } from '../model/log.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { Records } from '../storage/records.ts';
import type { Segments } from '../storage/segments.ts';
import type { Target } from '../targets/target.ts';
import type { Vendor } from '../vendors/vendor-standing.ts';

export interface ActivityDeps {
  readonly store: BlobStore;
  readonly records: Records;
  readonly segments: Segments;
  /** Throws where there is none of this name. */
  readonly findTarget: (name: string) => Target;
  readonly findVendor: (name: string) => Vendor | undefined;
  readonly heartbeats: {
    readonly service: Pick<WorkflowService, 'recordActivityTaskHeartbeat'>;
    readonly namespace: string;
    readonly identity: string;
  };
  /** Slices that this process may run at once. */
  readonly slicesMax: number;
  /** Aborted when the worker is asked to stop: slices come home and commit. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}
