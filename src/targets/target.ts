/**
 * What a target is: one file, in a fixed order of paragraphs (item schema, plan, apply), and one line in `index.ts`.
 * The plan is resolved at submit and travels with the operation; `apply*` runs in slices.
 */
import type { ZodType } from 'zod';
import type { Applied, Transient } from '../model/outcome.ts';
import type { Guarantee, Plan } from '../model/plan.ts';
import type { NotCalled, VendorAnswer, VendorRequest } from '../vendors/vendor.ts';

/** One item that passed the target's schema. */
export interface TargetItem<Item> {
  readonly index: number;
  /** The item as the schema sees it. Numbers beyond double precision are rounded here: send `exact` instead. */
  readonly item: Item;
  /**
   * The same value for sending on: `JSON.stringify(exact)` gives every number digit for digit as it came
   * (members whose source text a double cannot hold are `JSON.rawJSON` objects).
   */
  readonly exact: unknown;
  /** `<uid>:<index>`, the same in every attempt. */
  readonly idempotencyKey: string;
}

export interface TargetContext {
  /** Calls the target's vendor: slot, lease, time-out and classification are done. */
  readonly vendor: (request: VendorRequest) => Promise<VendorAnswer | Transient | NotCalled>;
  readonly signal: AbortSignal;
}

/** What a result line says of an item beside its outcome, e.g. `{type: 'update', id: 123}`. */
export type ItemLabel = Readonly<Record<string, string | number>>;

export interface Target<Item = unknown> {
  readonly name: string;
  readonly item: ZodType<Item>;
  readonly guarantee: Guarantee;
  readonly onDoubt: 'resend' | 'unknown';
  /** The vendor called; null where none is. */
  readonly vendor: string | null;
  readonly plan?: Partial<Pick<Plan, 'sliceConcurrency' | 'batchItemsMax' | 'journal' | 'callTimeoutMs' | 'boxMs'>>;
  /** Items of an operation's first chunks; default 2,500, so that a slow vendor is called from several slices soon. */
  readonly chunkItemsFirst?: number;
  /** Members of the result line, taken from `exact` of the (possibly invalid) parsed item; see `exact-json.ts`. */
  readonly label?: (item: unknown) => ItemLabel;
  /**
   * A CSV row (column → cell, empty cells absent) as the item's JSON text, which is then parsed like any other, so
   * that numbers keep their digits; without it rows are taken as objects of strings.
   */
  readonly fromRow?: (row: Readonly<Record<string, string>>) => string;
  /** Synchronous for targets without I/O. `not_called`: the slice is stopping, the item stays undecided. */
  readonly applyOne?: (item: TargetItem<Item>, context: TargetContext) => Applied | Promise<Applied | NotCalled>;
  readonly applyBatch?: (
    items: readonly TargetItem<Item>[],
    context: TargetContext,
  ) => Promise<readonly (Applied | NotCalled)[]>;
}

/** Checks at module load what the types cannot say. */
export function defineTarget<Item>(target: Target<Item>): Target<Item> {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(target.name)) throw new Error(`target name ${target.name} is not kebab-case`);
  if ((target.applyOne === undefined) === (target.applyBatch === undefined)) {
    throw new Error(`target ${target.name} must have exactly one of applyOne and applyBatch`);
  }
  return target;
}
