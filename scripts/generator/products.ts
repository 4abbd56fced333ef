/** Product operations: half updates, the rest created or deleted. Products have no key of their own, so none is a duplicate. */
import type { Draw } from './draw.ts';
import type { RowMaker } from './maker.ts';

const NAMES = ['Chair', 'Table "Oslo"', 'Lamp, small', 'Käsereibe', 'Mug\n330 ml', '椅子'] as const;
const COLUMNS = ['type', 'id', 'name', 'price', 'stock'] as const;
const NUMBERS: ReadonlySet<string> = new Set(['price', 'stock']);

export function productsMaker(): RowMaker {
  const members = (row: number, draw: Draw): string[] => [
    `${draw.pick(NAMES)} ${row}`,
    `${1 + draw.int(999)}.${10 + draw.int(90)}`,
    String(draw.int(1_000)),
  ];
  return {
    columns: COLUMNS,
    dirt: { invalid: 70, duplicate: 0, ragged: 30 },
    valid(row, draw) {
      const kind = draw.pick(['update', 'update', 'create', 'delete']);
      if (kind === 'delete') return [kind, String(row + 1), '', '', ''];
      return [kind, kind === 'create' ? '' : String(row + 1), ...members(row, draw)];
    },
    invalid: (row, draw) =>
      draw.pick([
        ['upsert', String(row + 1), ...members(row, draw)],
        ['', String(row + 1), ...members(row, draw)],
        ['update', '', ...members(row, draw)],
        ['update', String(row + 1), '', '', ''],
        ['delete', '', ...members(row, draw)],
      ]),
    duplicate() {
      throw new Error('products have no duplicates');
    },
    toItem(cells) {
      const named = COLUMNS.map((column, at) => [column, cells[at] ?? ''] as const).filter(([, cell]) => cell !== '');
      const own = named.filter(([column]) => column === 'type' || column === 'id');
      const product = named
        .filter(([column]) => column !== 'type' && column !== 'id')
        .map(([column, cell]) => [column, NUMBERS.has(column) ? Number(cell) : cell]);
      return { ...Object.fromEntries(own), ...(product.length > 0 ? { product: Object.fromEntries(product) } : {}) };
    },
  };
}
