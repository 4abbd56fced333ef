/** Reads the cells of one CSV row, strictly by RFC 4180: quotes are around a whole cell, or not there. */

/** `column`: 1-based, in characters from the row's start. */
export type CsvRow = { readonly cells: string[] } | { readonly message: string; readonly column: number };

/**
 * `raw` is a row without its line end, UTF-8. Cells are kept as they are: nothing is trimmed, an empty row is one empty cell.
 * How many cells there are is for the caller to check.
 */
export function parseCsvRow(raw: Buffer | string, delimiter: ',' | ';' | '\t'): CsvRow {
  const text = typeof raw === 'string' ? raw : decode(raw);
  if (typeof text !== 'string') return text;
  if (!text.includes('"')) return { cells: text.split(delimiter) };
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    const quoted: boolean = text[at] === '"';
    const end = quoted ? closingQuote(text, at) + 1 : cellEnd(text, delimiter, at);
    if (quoted && end === 0) return { message: 'a quote is opened and never closed', column: at + 1 };
    const cell = quoted ? text.slice(at + 1, end - 1).replaceAll('""', '"') : text.slice(at, end);
    const stray = quoted ? -1 : cell.indexOf('"');
    if (stray !== -1) return { message: 'a quote stands within a cell that is not quoted', column: at + stray + 1 };
    cells.push(cell);
    if (end === text.length) return { cells };
    if (text[end] !== delimiter) return { message: 'a closing quote is not followed by a delimiter', column: end + 1 };
    at = end + 1;
  }
}

function cellEnd(text: string, delimiter: string, from: number): number {
  const end = text.indexOf(delimiter, from);
  return end === -1 ? text.length : end;
}

/** Position of the quote that closes the one at `opening`, doubled ones passed over; -1 where there is none. */
function closingQuote(text: string, opening: number): number {
  let at = text.indexOf('"', opening + 1);
  while (at !== -1 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
  return at;
}

function decode(raw: Buffer): string | { message: string; column: number } {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return { message: 'the row is not UTF-8', column: firstInvalid(raw) };
  }
}

/** A decoded U+FFFD that is not one in the bytes is where they are invalid. */
function firstInvalid(raw: Buffer): number {
  const lossy = raw.toString('utf8');
  let offset = 0;
  let from = 0;
  for (let at = lossy.indexOf('\ufffd'); at !== -1; at = lossy.indexOf('\ufffd', from)) {
    offset += Buffer.byteLength(lossy.slice(from, at));
    if (raw[offset] !== 0xef || raw[offset + 1] !== 0xbf || raw[offset + 2] !== 0xbd) return at + 1;
    offset += 3;
    from = at + 1;
  }
  return 1;
}
