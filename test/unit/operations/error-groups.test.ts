import { describe, expect, it } from 'vitest';
import { renderResultLine } from '../../../src/model/result-line.ts';
import { groupErrors } from '../../../src/operations/results/error-groups.ts';

async function* chunk(lines: readonly string[]): AsyncGenerator<Buffer> {
  yield Buffer.from(lines.map((line) => `${line}\n`).join(''));
}

const base = { line: 1, attempts: 1 } as const;

describe('error groups', () => {
  it('count only what failed or is unknown, whatever labels and results say', async () => {
    const error = { code: 'bad', message: 'no', retryable: true };
    const groups = await groupErrors(
      chunk([
        renderResultLine({ ...base, index: 0, label: { note: '","outcome":"failed"' }, outcome: 'succeeded' }),
        renderResultLine({ ...base, index: 1, label: {}, outcome: 'succeeded', result: { outcome: 'failed' } }),
        renderResultLine({ ...base, index: 2, label: { outcome: 'succeeded' }, outcome: 'failed', error }),
        renderResultLine({ ...base, index: 3, label: {}, outcome: 'unknown' }),
      ]),
    );
    expect(groups).toEqual([
      { code: 'bad', count: 1, sample: 'no', firstIndex: 2, retryable: true },
      { code: 'unknown', count: 1, sample: expect.any(String), firstIndex: 3, retryable: false },
    ]);
  });

  it('are bounded: codes beyond a thousand are counted together', async () => {
    const lines = Array.from({ length: 1_500 }, (_, index) =>
      renderResultLine({
        ...base,
        index,
        label: {},
        outcome: 'failed',
        error: { code: `code_${index}`, message: '', retryable: false },
      }),
    );
    const groups = await groupErrors(chunk(lines));
    expect(groups).toHaveLength(1_001);
    expect(groups[0]).toMatchObject({ code: 'other', count: 500, firstIndex: 1_000 });
  });
});
