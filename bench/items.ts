/** Item streams that cost next to nothing to make: one prepared block, of which only four digits per item change. */

/** Lines of one stream are of one length, so that digits are written in place. */
export interface ItemSource {
  readonly lineBytes: number;
  /** Whole lines, the n-th of all with the n-th number; about 760 KB a buffer, the last one shorter. */
  blocks(items: number): Generator<Buffer>;
}

const BLOCK_ITEMS = 10_000;
const DIGITS = 8;
const MARK = '#'.repeat(DIGITS);
export const ITEMS_MAX = 10 ** DIGITS;

/** 76 bytes each, line end included. */
export const noopItems = fromTemplate(`{"sku":"SKU-${MARK}","name":"Product ${MARK}","price":1049.95,"qty":1250}`);

/** What one product update is; the id has nine digits and no leading zero. */
export const productItems = fromTemplate(
  `{"type":"update","id":1${MARK},"product":{"name":"Product ${MARK}","price":10.5}}`,
);

/** The same update as a call to the vendor: what the target makes of the n-th item. */
export function productCall(index: number): { readonly path: string; readonly product: object } {
  const digits = String(index).padStart(DIGITS, '0');
  return { path: `/products/1${digits}`, product: { name: `Product ${digits}`, price: 10.5 } };
}

function fromTemplate(template: string): ItemSource {
  const line = `${template}\n`;
  const offsets = [...line.matchAll(new RegExp(MARK, 'g'))].map(({ index }) => index);
  const numbered = (local: number) => line.replaceAll(MARK, String(local).padStart(DIGITS, '0'));
  const block = Buffer.from(Array.from({ length: BLOCK_ITEMS }, (_none, local) => numbered(local)).join(''));
  return {
    lineBytes: line.length,
    *blocks(items) {
      for (let first = 0; first < items; first += BLOCK_ITEMS) {
        const lines = Math.min(BLOCK_ITEMS, items - first);
        // A copy: the socket still holds the block before.
        const copy = Buffer.from(block.subarray(0, lines * line.length));
        writeHighDigits(copy, line.length, offsets, first / BLOCK_ITEMS);
        yield copy;
      }
    },
  };
}

/** The low four digits stand in the prepared block. */
function writeHighDigits(block: Buffer, lineBytes: number, offsets: readonly number[], blockNumber: number): void {
  if (blockNumber === 0) return;
  const digits = Buffer.from(String(blockNumber).padStart(DIGITS - 4, '0'));
  for (const offset of offsets) {
    for (let at = offset; at < block.length; at += lineBytes) {
      block[at] = digits[0] ?? 0;
      block[at + 1] = digits[1] ?? 0;
      block[at + 2] = digits[2] ?? 0;
      block[at + 3] = digits[3] ?? 0;
    }
  }
}
