/** What a kind of rows has to say of itself to be generated. */
import type { Draw } from './draw.ts';

export const DIRT = ['invalid', 'duplicate', 'ragged'] as const;
export type Dirt = (typeof DIRT)[number];
export type RowKind = 'valid' | Dirt;

export interface RowMaker {
  readonly columns: readonly string[];
  /** Of a hundred dirty rows, how many are of which kind; `ragged` ones exist in CSV only and are `invalid` elsewhere. */
  readonly dirt: Readonly<Record<Dirt, number>>;
  /** One cell per column. */
  valid(row: number, draw: Draw): string[];
  /** Refused by the target's schema, whatever the format. */
  invalid(row: number, draw: Draw): string[];
  /** Valid by itself, with the key of an earlier valid row. */
  duplicate(row: number, of: number, draw: Draw): string[];
  /** The cells as a JSON item that means the same. */
  toItem(cells: readonly string[]): unknown;
}
