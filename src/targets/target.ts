/**
 * What a target is: one file, in a fixed order of paragraphs (item schema, plan, apply), and one line in `registry.ts`.
 * The plan is resolved at submit and travels with the operation; what applies an item runs in slices.
 */
import { compile, type ZodType } from 'zod';
import type { Migration, Sql } from '../model/database.ts';
import type { Applied, Submitted, Transient } from '../model/outcome.ts';
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
  /** `<uid>:<index>`, the same in every attempt of a run; a retry of a definite failure adds `:r<run>`. */
  readonly idempotencyKey: string;
}

/** Whose items these are. */
export interface TargetOperation {
  readonly account: string;
  readonly id: string;
  readonly uid: string;
}

export interface TargetContext {
  /** Calls the target's vendor: slot, lease, time-out and classification are done. */
  readonly vendor: (request: VendorRequest) => Promise<VendorAnswer | Transient | NotCalled>;
  readonly signal: AbortSignal;
  readonly operation: TargetOperation;
}

export interface BatchContext extends TargetContext {
  /**
   * `exactly_once`: the transaction that also holds the batch's row in the ledger, so effect and record stand or fall
   * together. Other targets: the database without one. Rejects every query where the service has no database.
   */
  readonly sql: Sql;
}

export interface SubmitContext extends TargetContext {
  /** Where the vendor is to send the item's outcome: absolute, signed, for this item alone, the same in every attempt. */
  readonly callbackUrl: (item: { readonly index: number }) => string;
}

/** What an asynchronous vendor said when it was asked after the deadline; `pending`: it does not know yet. */
export type Polled = Applied | NotCalled | { readonly kind: 'pending' };

/** What a result line says of an item beside its outcome, e.g. `{type: 'update', id: 123}`. */
export type ItemLabel = Readonly<Record<string, string | number>>;

/** An outcome that came by callback: the vendor's body, parsed; unusable ones are `failed`, too. */
export type ReadCallback = (body: unknown) => Extract<Applied, { kind: 'succeeded' | 'failed' }>;

export interface Target<Item = unknown> {
  readonly name: string;
  /** What the CSV surface calls one of its items, e.g. `Contact`; absent = the name. */
  readonly entity?: string;
  readonly item: ZodType<Item>;
  readonly guarantee: Guarantee;
  readonly onDoubt: 'resend' | 'unknown';
  /** The vendor called; null where none is. */
  readonly vendor: string | null;
  readonly plan?: Partial<
    Pick<
      Plan,
      'sliceConcurrency' | 'batchItemsMax' | 'journal' | 'callTimeoutMs' | 'boxMs' | 'windowMax' | 'callbackTimeoutMs'
    >
  >;
  /** Items of an operation's first chunks; default 2,500, so that a slow vendor is called from several slices soon. */
  readonly chunkItemsFirst?: number;
  /** Members of the result line, taken from `exact` of the (possibly invalid) parsed item; see `exact-json.ts`. */
  readonly label?: (item: unknown) => ItemLabel;
  /**
   * A CSV row (column → cell, empty cells absent) as the item's JSON text, which is then parsed like any other, so
   * that numbers keep their digits; or, much cheaper, as the item itself where all its members stay text. Without it
   * rows are taken as they are.
   */
  readonly fromRow?: (row: Readonly<Record<string, string>>) => string | Readonly<Record<string, string>>;
  /**
   * The identity of a valid item: within an operation the first one is applied, later ones are `skipped` as its
   * duplicates. Normalised: what means the same is the same text.
   */
  readonly dedupeBy?: (item: Item) => string;
  /** The target's own tables, in order; applied at start-up. */
  readonly migrations?: readonly Migration[];

  // Exactly one of the three that follow.
  /** Synchronous for targets without I/O. `not_called`: the slice is stopping, the item stays undecided. */
  readonly applyOne?: (item: TargetItem<Item>, context: TargetContext) => Applied | Promise<Applied | NotCalled>;
  /**
   * As many answers as items, in their order. `exactly_once`: a database error is best thrown: one that passes puts the
   * whole batch off, one that the rows are to blame for is narrowed down to the row.
   */
  readonly applyBatch?: (
    items: readonly TargetItem<Item>[],
    context: BatchContext,
  ) => Promise<readonly (Applied | NotCalled)[]>;
  /** Hands the item to a vendor that answers later, by callback. */
  readonly submit?: (item: TargetItem<Item>, context: SubmitContext) => Promise<Submitted | Applied | NotCalled>;

  /** Beside `submit`: reads a callback's body. */
  readonly readCallback?: ReadCallback;
  /** Beside `submit`, where the vendor can be asked: what became of it, asked once the deadline has passed. */
  readonly poll?: (vendorRef: string, item: TargetItem<Item>, context: TargetContext) => Promise<Polled>;
}

/** Checks at module load what the types cannot say, and has the schema compiled: items are checked three times as fast. */
export function defineTarget<Item>(target: Target<Item>): Target<Item> {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(target.name)) throw new Error(`target name ${target.name} is not kebab-case`);
  const ways = [target.applyOne, target.applyBatch, target.submit].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw new Error(`target ${target.name} must have exactly one of applyOne, applyBatch and submit`);
  }
  if ((target.submit === undefined) !== (target.readCallback === undefined)) {
    throw new Error(`target ${target.name} must have submit and readCallback, or neither`);
  }
  if (target.guarantee === 'exactly_once' && (target.applyBatch === undefined || target.onDoubt !== 'resend')) {
    throw new Error(`target ${target.name} promises exactly_once: it must have applyBatch, and onDoubt resend`);
  }
  return { ...target, item: compile(target.item) };
}
