/** Takes a CSV's header row: which delimiter it uses and what its columns are called. */
import type { ItemFormat } from '../model/chunk.ts';
import { parseCsvRow } from '../model/csv-row.ts';
import { TrancheError } from '../model/errors.ts';
import { CSV_COLUMNS_MAX } from '../model/limits.ts';
import type { ItemWriter } from './framer.ts';

type CsvFormat = Extract<ItemFormat, { kind: 'csv' }>;
type Delimiter = CsvFormat['delimiter'];

/** In order of preference where they are equally frequent. */
const DELIMITERS: readonly Delimiter[] = [',', ';', '\t'];

export interface CsvHeader {
  /** Takes the header as a framer's only item. Throws `invalid_header`. */
  readonly writer: ItemWriter;
  /** null until the row is complete. */
  format(): CsvFormat | null;
}

export function createCsvHeader(bytesMax: number): CsvHeader {
  let row: Buffer[] = [];
  let length = 0;
  let line = 1;
  let format: CsvFormat | null = null;

  const writer: ItemWriter = {
    begin: (at) => {
      line = at;
    },
    append: (bytes, start, end) => {
      length += end - start;
      if (length > bytesMax) throw invalidHeader(`it is larger than ${bytesMax} bytes`, { line });
      row.push(Buffer.from(bytes.subarray(start, end)));
    },
    fail: (_code, message, column) => {
      throw invalidHeader(message, { line, ...(column === undefined ? {} : { column }) });
    },
    finish: () => {
      format = parseHeader(Buffer.concat(row), line);
    },
    drop: () => {
      row = [];
      length = 0;
    },
  };
  return { writer, format: () => format };
}

function parseHeader(raw: Buffer, line: number): CsvFormat {
  const delimiter = delimiterOf(raw);
  const row = parseCsvRow(raw, delimiter);
  if ('message' in row) throw invalidHeader(row.message, { line, column: row.column });
  const columns = row.cells.map((cell) => cell.trim());
  if (columns.length > CSV_COLUMNS_MAX) {
    throw invalidHeader(`it has more than ${CSV_COLUMNS_MAX} columns`, {
      line,
      limit: CSV_COLUMNS_MAX,
      unit: 'columns',
    });
  }
  const seen = new Set<string>();
  for (const [position, column] of columns.entries()) {
    if (column === '') throw invalidHeader(`column ${position + 1} has no name`, { line });
    if (seen.has(column)) throw invalidHeader(`column ${JSON.stringify(column)} is there twice`, { line });
    seen.add(column);
  }
  return { kind: 'csv', delimiter, columns };
}

/** The most frequent one outside quotes; a comma where there is none. */
function delimiterOf(raw: Buffer): Delimiter {
  const outside = raw.toString('latin1').replaceAll(/"[^"]*"/g, '');
  let best: Delimiter = ',';
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const times = outside.split(delimiter).length;
    if (times > most) {
      best = delimiter;
      most = times;
    }
  }
  return best;
}

function invalidHeader(detail: string, facts: ConstructorParameters<typeof TrancheError>[2]): TrancheError {
  return new TrancheError('invalid_header', `the CSV header is not valid: ${detail}`, facts);
}
