/** docs/security.md: each threat has its test, and the test is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../../src/settings.ts';

const root = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/security.md', root), 'utf8');

interface Row {
  readonly threat: string;
  readonly tests: readonly { readonly path: string; readonly title: string }[];
}

function rowsOf(text: string): Row[] {
  const lines = text.slice(text.indexOf('\n## Threats'), text.indexOf('\n## Known')).split('\n');
  const cells = lines.filter((line) => line.startsWith('| ')).map((line) => line.split(' | '));
  return cells
    .filter(([threat = '']) => !/^\| (?:threat|---)/.test(threat))
    .map(([threat = '', , named = '']) => ({
      threat,
      tests: [...named.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)].map(([, path = '', title = '']) => ({ path, title })),
    }));
}

describe('the threat model', () => {
  it('names tests that exist, in every row', () => {
    const rows = rowsOf(page);
    expect(rows.length).toBeGreaterThan(50);
    for (const { threat, tests } of rows) {
      expect(tests.length, threat).toBeGreaterThan(0);
      for (const { path, title } of tests) {
        const file = new URL(path, root);
        expect(existsSync(file), `${threat}: ${path}`).toBe(true);
        expect(isTitleIn(readFileSync(file, 'utf8'), title), `${threat}: ${path} has no test "${title}"`).toBe(true);
      }
    }
  });

  it('finds a row whose test is gone', () => {
    const [row] = rowsOf('\n## Threats\n| a | b | `test/unit/security/document.test.ts` "no such title" |\n\n## Known');
    expect(row?.tests).toEqual([{ path: 'test/unit/security/document.test.ts', title: 'no such title' }]);
    expect(isTitleIn("it('is another', () => {", 'no such title')).toBe(false);
  });

  it('leaves out no test file of this kind', () => {
    for (const folder of ['test/unit/security/', 'test/integration/security/']) {
      for (const name of readdirSync(new URL(folder, root)).filter((each) => each.endsWith('.test.ts'))) {
        expect(page).toContain(`\`${folder}${name}\``);
      }
    }
  });

  it('leaves out no secret', () => {
    const all = Object.values(SETTINGS).flatMap((group) => Object.values(group) as { env: string; secret?: true }[]);
    for (const { env } of all.filter(({ secret }) => secret === true)) {
      expect(page).toContain(env.startsWith('S3_') ? 'S3 keys' : `\`${env}\``);
    }
  });
});

/** Only as the title of a test, quoted as in the source; the title may be the beginning of a longer one. */
function isTitleIn(source: string, title: string): boolean {
  const quotes = ["'", '"', '`'];
  return quotes.some((quote) => source.includes(`${quote}${title}`));
}
