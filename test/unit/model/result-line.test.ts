import { describe, expect, it } from 'vitest';
import { renderResultLine } from '../../../src/model/result-line.ts';

const base = { index: 7, line: 8, label: { type: 'update', id: 123 }, attempts: 3 } as const;

describe('a result line', () => {
  it('has its members in the documented order', () => {
    const error = { code: 'vendor_rejected', message: 'say "no"', retryable: false };
    expect(renderResultLine({ ...base, outcome: 'failed', error })).toBe(
      '{"index":7,"line":8,"type":"update","id":123,"outcome":"failed","attempts":3,' +
        '"error":{"code":"vendor_rejected","message":"say \\"no\\"","retryable":false}}',
    );
  });

  it('carries the result where there is one and leaves it out where there is none', () => {
    expect(JSON.parse(renderResultLine({ ...base, outcome: 'succeeded', result: { id: 1 } }))).toMatchObject({
      outcome: 'succeeded',
      result: { id: 1 },
    });
    expect(renderResultLine({ ...base, outcome: 'succeeded' })).not.toContain('result');
  });

  it('is one line whatever the label holds, and keeps its own members from it', () => {
    const text = renderResultLine({
      ...base,
      label: { 'a"\n': 'x\ny', outcome: 'succeeded', index: 9, id: 1.5 },
      outcome: 'skipped',
      reason: 'duplicate',
    });
    expect(text).not.toContain('\n');
    expect(text.match(/"outcome":/g)).toHaveLength(1);
    expect(JSON.parse(text)).toEqual({
      index: 7,
      line: 8,
      'a"\n': 'x\ny',
      id: 1.5,
      outcome: 'skipped',
      attempts: 3,
      reason: 'duplicate',
    });
  });
});
