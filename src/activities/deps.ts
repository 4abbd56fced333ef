/** What activities are given; the one wiring place fills it in. */

import type { CallbackRef } from '../model/callback-token.ts';
import type { Database } from '../model/database.ts';
import type { Log } from '../model/log.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { Records } from '../storage/records.ts';
import type { Segments } from '../storage/segments.ts';
import type { Target } from '../targets/target.ts';
import type { Vendor } from '../vendors/vendor-standing.ts';
import type { PendingActivity } from './begun.ts';

export interface WorkflowRun {
  readonly workflowId: string;
  readonly runId: string;
}

export interface ActivityDeps {
  readonly store: BlobStore;
  readonly records: Records;
  readonly segments: Segments;
  /** Null where the service has none. */
  readonly database: Database | null;
  /** Tells the limits of accounts that an operation has ended; absent where nothing in flight is limited. */
  readonly freePlaces?: (uid: string) => Promise<void>;
  /** Throws where there is none of this name. */
  readonly findTarget: (name: string) => Target;
  readonly findVendor: (name: string) => Vendor | undefined;
  /** Where a vendor is to send an item's outcome; null where the service has no secret to sign it with. */
  readonly callbackUrl: ((item: CallbackRef) => string) | null;
  /**
   * One heartbeat that the server has to acknowledge, within a fraction of the heartbeat timeout. Rejects with a gRPC
   * status `code` where it refuses; true: the workflow wants the slice home.
   */
  readonly heartbeat: (taskToken: Uint8Array) => Promise<boolean>;
  /** The activities of a workflow that have not ended, as the server has them; rejects where it does not answer soon. */
  readonly pendingActivities: (workflow: WorkflowRun) => Promise<readonly PendingActivity[]>;
  /** Slices that this process may run at once. */
  readonly slicesMax: number;
  /** Aborted when the worker is asked to stop: slices come home and commit. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}
