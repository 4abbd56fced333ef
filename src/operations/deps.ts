/** What the room is given: stores, targets as it needs them. The one wiring place fills it in. */
import type { Client } from '@temporalio/client';
import type { Ingest } from '../ingest/ingest.ts';
import type { Chunk } from '../model/chunk.ts';
import type { Database } from '../model/database.ts';
import type { Budget } from '../model/governor.ts';
import type { Log } from '../model/log.ts';
import type { Plan } from '../model/plan.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import type { Records } from '../storage/records.ts';
import type { Segments } from '../storage/segments.ts';
import type { ItemText } from '../targets/item-reader.ts';
import type { ItemLabel } from '../targets/target.ts';
import type { TargetView } from '../targets/target-views.ts';
import type { AccountLimits } from './limits/account-limits.ts';
import type { SubmitPolicy } from './operations.ts';
import type { UnloadQueue } from './running/queue-watch.ts';
import type { OperationsSettings } from './settings.ts';

export interface OperationsStorage {
  readonly store: BlobStore;
  readonly records: Records;
  readonly segments: Segments;
}

/** The targets as submit and results need them. */
export interface TargetRegistry {
  targetNames(): readonly string[];
  targetViews(): readonly TargetView[];
  findTarget(name: string): { readonly name: string; readonly chunkItemsFirst?: number } | null | undefined;
  /** Throws `invalid_policy`. */
  resolvePlan(target: { readonly name: string }, policy: SubmitPolicy): Plan;
  /** What a result line says of an item that no slice has seen, by its position in the chunk. Never throws. */
  labelsOf(targetName: string, chunk: Chunk): (position: number) => ItemLabel;
  /** Each item as JSON text that means the same to the target, whatever it came as. */
  itemTexts(targetName: string, chunk: Chunk): (position: number) => ItemText;
  /** A CSV row (column → cell, empty cells absent) as the item's JSON text. */
  rowText(targetName: string, cells: Readonly<Record<string, string>>): string;
  /** Whether JSON text is an item that the target would apply. */
  acceptsText(targetName: string, text: string): boolean;
}

export interface OperationsDeps {
  readonly storage: OperationsStorage;
  readonly ingest: Ingest;
  readonly client: Client;
  /** Null where the service has none. It may be away: what needs none must not wait for it. */
  readonly database: Database | null;
  readonly targets: TargetRegistry;
  readonly settings: OperationsSettings;
  /** The limits of accounts and their sweep; absent where no limit is set. */
  readonly limits?: AccountLimits;
  /** Every vendor, with what the settings say it allows (null = nothing); absent = there are none. */
  readonly vendorBudgets?: Readonly<Record<string, Budget | null>>;
  /** Absent: queues of Temporal are not watched. */
  readonly unloadQueue?: UnloadQueue;
  /** Signs callback URLs; absent where no vendor calls back. */
  readonly callbackSecret?: string;
  readonly log: Log;
}
