import { describe, expect, it } from 'vitest';
import { createLineStore } from '../../../src/activities/line-store.ts';

const all = () => true;

describe('the lines of a slice', () => {
  it('come out in the order of their positions, whatever order they came in, and only where wanted', () => {
    const lines = createLineStore(5);
    for (const position of [3, 0, 4, 1]) lines.set(position, `line ${position}`);
    expect(text(lines.join(all))).toBe('line 0\nline 1\nline 3\nline 4\n');
    expect(text(lines.join((position) => position > 2))).toBe('line 3\nline 4\n');
    expect(lines.join(all).count).toBe(4);
    expect([0, 1, 2, 3, 4].filter(lines.has)).toEqual([0, 1, 3, 4]);
  });

  it('keep every character, as string or as bytes', () => {
    const lines = createLineStore(2);
    lines.set(0, '{"name":"Žluťoučký 🐎"}');
    lines.set(1, Buffer.from('{"name":"€"}'));
    expect(text(lines.join(all))).toBe('{"name":"Žluťoučký 🐎"}\n{"name":"€"}\n');
  });

  it('may be larger than a slab, and more than one slab holds', () => {
    const lines = createLineStore(40);
    const wanted = Array.from({ length: 40 }, (_, n) => String(n).repeat(n === 7 ? 400_000 : 20_000));
    for (const [position, line] of wanted.entries()) lines.set(position, line);
    expect(text(lines.join(all))).toBe(wanted.map((line) => `${line}\n`).join(''));
  });

  it('are replaced by what is set later', () => {
    const lines = createLineStore(1);
    lines.set(0, 'first');
    lines.set(0, 'second');
    expect(text(lines.join(all))).toBe('second\n');
  });

  it('stay in what was joined after they are let go', () => {
    const lines = createLineStore(2);
    lines.set(0, 'kept');
    const joined = lines.join(all);
    lines.end();
    expect(text(joined)).toBe('kept\n');
    expect(createLineStore(0).join(all).count).toBe(0);
  });
});

function text({ lines }: { readonly lines: Buffer }): string {
  return lines.toString('utf8');
}
