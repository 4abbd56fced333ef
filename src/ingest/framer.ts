/** What a framer is: it finds where items begin and end in the payload, and copies their bytes into the chunker. */
import type { ItemFault, ItemFormat } from '../model/chunk.ts';

/** Takes the items of a framer, one at a time: begin, append as often as the item's bytes come in pieces, then finish or drop. */
export interface ItemWriter {
  /** `line`: 1-based, where the item starts. */
  begin(line: number): void;
  /** Bytes from `start` up to `end`. Beyond the item's limit it drops them all and gives the item the fault `item_too_large`. */
  append(bytes: Buffer, start: number, end: number): void;
  /** Gives the open item a fault, in place of any it has; its bytes are dropped, and those to come. */
  fail(code: ItemFault['code'], message: string, column?: number): void;
  /** The open item is complete. */
  finish(): void;
  /** The open item was none (a blank line). */
  drop(): void;
}

/** Any split of the payload into pushes gives the same items. Throws TrancheError where the framing is broken. */
export interface Framer {
  /** `offset` of the first byte, in the decoded payload. */
  push(bytes: Buffer, offset: number): void;
  /** The payload ended at `offset`. */
  end(offset: number): void;
  /** Known once the first item is. */
  format(): ItemFormat;
}

export const LF = 0x0a;
export const CR = 0x0d;

/** Whether the LF or CR at `at` ends a line that is not ended yet: an LF behind a CR does not. `afterCr`: of the byte before `bytes`. */
export function endsLine(bytes: Buffer, at: number, afterCr: boolean): boolean {
  return bytes[at] === CR || !(at === 0 ? afterCr : bytes[at - 1] === CR);
}
