/** Contacts as people's files have them: names of many languages, quotes, commas and line breaks, blank cells, a column of their own. */
import { createDraw, type Draw } from './draw.ts';
import type { RowMaker } from './maker.ts';

const FIRST = [
  'Ada',
  'Zoë',
  'José',
  'Anna',
  'Bjørn',
  'Chloé',
  'Đorđe',
  'Emeka',
  'Fatima',
  'Grace',
  'Hiro',
  '李',
] as const;
const LAST = [
  'Müller',
  'Smith',
  "O'Neill",
  'García',
  'Nowak',
  'Ivanova',
  'Okafor',
  'Tanaka',
  'Silva',
  'Jensen',
] as const;
const HOSTS = ['example.com', 'example.org', 'mail.example.net', 'example.co.uk'] as const;
const COMPANIES = [
  'Acme',
  'Globex Corporation',
  'Müller, Söhne & Co',
  'The "Best" Company',
  'Initech;\tWest',
  'Umbrella\nBranch 7',
  '=1+1 Ltd',
  '',
] as const;
const STATUSES = ['active', 'inactive', 'Lead', 'customer', 'UNSUBSCRIBED', ''] as const;
const CITIES = ['Zürich', 'São Paulo', '東京', 'Lagos', 'Austin', ''] as const;

/** One above what a contact's name may have. */
const NAME_TOO_LONG = 201;

export function contactsMaker(seed: number): RowMaker {
  const cellsOf = (email: string, row: number, draw: Draw): string[] => {
    const name = draw.int(20) === 0 ? '' : `${draw.pick(FIRST)} ${draw.pick(LAST)}`;
    const phone = draw.int(5) === 0 ? '' : `+49 ${100 + draw.int(900)} ${100_000 + (row % 900_000)}`;
    const age = draw.int(10) === 0 ? '' : String(18 + draw.int(80));
    return [email, name, phone, draw.pick(COMPANIES), draw.pick(STATUSES), age, draw.pick(CITIES)];
  };
  const changed = (cells: string[], column: string, cell: string): string[] =>
    cells.map((was, at) => (COLUMNS[at] === column ? cell : was));

  return {
    columns: COLUMNS,
    dirt: { invalid: 50, duplicate: 30, ragged: 20 },
    valid: (row, draw) => cellsOf(emailOf(seed, row), row, draw),
    invalid(row, draw) {
      const cells = cellsOf(emailOf(seed, row), row, draw);
      const spoilt = [
        changed(cells, 'email', ''),
        changed(cells, 'email', `nobody-${row}.example.com`),
        changed(cells, 'age', '-4'),
        changed(cells, 'age', 'unknown'),
        changed(cells, 'status', 'perhaps'),
        changed(cells, 'name', 'x'.repeat(NAME_TOO_LONG)),
      ] as const;
      return draw.pick(spoilt);
    },
    duplicate(row, of, draw) {
      const email = emailOf(seed, of);
      return cellsOf(draw.pick([email, email.toUpperCase(), ` ${email} `]), row, draw);
    },
    toItem: (cells) =>
      Object.fromEntries(
        COLUMNS.flatMap((column, at) => {
          const cell = cells[at] ?? '';
          if (cell === '') return [];
          return [[column, column === 'age' && /^-?\d+$/.test(cell) ? Number(cell) : cell]];
        }),
      ),
  };
}

const COLUMNS = ['email', 'name', 'phone', 'company', 'status', 'age', 'city'] as const;
const MAILBOXES = ['ada', 'zoe', 'jose', 'anna.maria', 'b-jorn', 'chloe_k', 'dj', 'emeka+news'] as const;

/** A row's own, whatever else is drawn for it: no two rows share one. */
function emailOf(seed: number, row: number): string {
  const draw = createDraw(seed, -row - 2);
  return `${draw.pick(MAILBOXES)}.${row.toString(36)}@${draw.pick(HOSTS)}`;
}
