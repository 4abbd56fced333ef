import { describe, expect, it } from 'vitest';
import {
  isTimestamp,
  readAmendment,
  readSubmitFields,
  refuseDeadline,
  refusePast,
} from '../../../src/model/submit-fields.ts';

describe('submit fields', () => {
  it('leaves what is absent to the target', () => {
    expect(readSubmitFields({})).toEqual({ target: null, policy: {}, scheduledAt: null, metadata: null });
  });

  it('reads every field that may be set', () => {
    const fields = { target: 'products', priority: '1', concurrency: '8', callsPerSecond: '50', maximumAttempts: '3' };
    expect(readSubmitFields({ ...fields, metadata: '{"who":"me"}' })).toEqual({
      target: 'products',
      policy: { priority: 1, concurrency: 8, callsPerSecond: 50, maximumAttempts: 3 },
      scheduledAt: null,
      metadata: { who: 'me' },
    });
  });

  it.each([
    ['priority', '0'],
    ['priority', '6'],
    ['priority', ''],
    ['concurrency', '1.5'],
    ['concurrency', '1e2'],
    ['concurrency', '-1'],
    ['callsPerSecond', '0x10'],
    ['callsPerSecond', ' 5'],
    ['maximumAttempts', '101'],
    ['maximumAttempts', '9'.repeat(400)],
    ['metadata', '[]'],
    ['metadata', 'null'],
    ['metadata', '"text"'],
    ['metadata', '{'],
    ['metadata', JSON.stringify({ text: 'x'.repeat(4_096) })],
    ['scheduledAt', 'tomorrow'],
    ['scheduledAt', '2099-01-01T00:00:00'],
    ['scheduledAt', '2099-02-30T00:00:00Z'],
    ['maxFailures', '-1'],
    ['maxFailures', '1.5'],
    ['maxFailures', ''],
    ['maxFailurePercent', '100.1'],
    ['maxFailurePercent', '-0'],
    ['maxFailurePercent', '5%'],
    ['maxFailurePercent', '1e1'],
    ['maxFailurePercent', 'NaN'],
    ['minSample', '0'],
    ['onFailureLimit', 'cancel'],
    ['onFailureLimit', 'Pause'],
    ['deadline', '2099-01-01'],
    ['deadline', 'PT1H'],
  ])('refuses %s=%s and names the field', (name, text) => {
    const errors = [expect.objectContaining({ parameter: name })];
    const expected = expect.objectContaining({ code: 'invalid_policy', facts: expect.objectContaining({ errors }) });
    expect(() => readSubmitFields({ [name]: text })).toThrow(expected);
  });

  it('reads limits on failures from 0 to all, and a deadline in any offset', () => {
    const fields = { maxFailures: '0', maxFailurePercent: '0.05', minSample: '1', onFailureLimit: 'stop' };
    const limits = { maxFailures: 0, maxFailurePercent: 0.05, minSample: 1, onFailureLimit: 'stop' };
    const deadline = '2999-01-01T00:00:00+02:00';
    expect(readSubmitFields({ ...fields, deadline }).policy).toEqual({
      ...limits,
      deadline: '2998-12-31T22:00:00.000Z',
    });
    expect(readSubmitFields({ maxFailurePercent: '100' }).policy).toEqual({ maxFailurePercent: 100 });
  });

  it('refuses a deadline that has passed, or that leaves no time', () => {
    const scheduledAt = '2099-01-01T00:00:00.000Z';
    const later = '2099-01-01T00:00:00.001Z';
    expect(() => refuseDeadline(null, scheduledAt, Date.now())).not.toThrow();
    expect(() => refuseDeadline(later, scheduledAt, Date.now())).not.toThrow();
    expect(() => refuseDeadline(scheduledAt, scheduledAt, Date.now())).toThrow('later than scheduledAt');
    expect(() => refuseDeadline(scheduledAt, null, Date.parse(scheduledAt))).toThrow('in the past');
    expect(() => refuseDeadline(scheduledAt, null, Date.parse(scheduledAt) - 1)).not.toThrow();
  });

  it('amends limits by number or null', () => {
    const cleared = { maxFailures: null, maxFailurePercent: null, deadline: null };
    expect(readAmendment(cleared)).toEqual(cleared);
    expect(readAmendment({ maxFailures: 0, maxFailurePercent: 12.5 })).toEqual({
      maxFailures: 0,
      maxFailurePercent: 12.5,
    });
    for (const amendment of [{ maxFailures: -1 }, { maxFailurePercent: 101 }, { maxFailurePercent: Number.NaN }]) {
      expect(() => readAmendment(amendment)).toThrow(expect.objectContaining({ code: 'invalid_policy' }));
    }
    expect(() => readAmendment({ deadline: 'soon' })).toThrow('deadline must be');
  });

  it('refuses a time in the past as such, and takes one to come in any offset', () => {
    const { scheduledAt } = readSubmitFields({ scheduledAt: '2001-01-01T00:00:00Z' });
    expect(() => refusePast(scheduledAt, Date.now())).toThrow('in the past');
    expect(() => refusePast(scheduledAt, Date.parse('2000-12-31T23:59:59Z'))).not.toThrow();
    expect(() => refusePast(null, Date.now())).not.toThrow();
    expect(readSubmitFields({ scheduledAt: '2999-01-01T00:00:00+02:00' }).scheduledAt).toBe('2998-12-31T22:00:00.000Z');
  });

  it('takes metadata of exactly 4,096 bytes', () => {
    const text = JSON.stringify({ text: 'x'.repeat(4_096 - '{"text":""}'.length) });
    expect(readSubmitFields({ metadata: text }).metadata).toHaveProperty('text');
  });

  it.each([
    ['2026-11-21T12:00:00Z', true],
    ['2026-11-21T12:00:00.123+05:30', true],
    ['2024-02-29T00:00:00Z', true],
    ['2026-02-29T00:00:00Z', false],
    ['2026-13-01T00:00:00Z', false],
    ['2026-11-21T25:00:00Z', false],
    ['2026-11-21', false],
    ['2026-11-21 12:00:00Z', false],
  ])('says of the timestamp %s: %s', (text, valid) => {
    expect(isTimestamp(text)).toBe(valid);
  });

  it('bounds what is changed later as it bounds what is submitted; a time that has come is taken', () => {
    const amendment = { concurrency: 8, callsPerSecond: 50, priority: 1, scheduledAt: '2001-01-01T02:00:00+02:00' };
    expect(readAmendment(amendment)).toEqual({ ...amendment, scheduledAt: '2001-01-01T00:00:00.000Z' });
    expect(readAmendment({ callsPerSecond: null })).toEqual({ callsPerSecond: null });
    expect(readAmendment({})).toEqual({});
  });

  it.each([
    ['concurrency', 0],
    ['concurrency', 1.5],
    ['callsPerSecond', Number.NaN],
    ['callsPerSecond', 100_001],
    ['priority', 6],
    ['scheduledAt', 'tomorrow'],
    ['scheduledAt', '2099-02-30T00:00:00Z'],
  ])('refuses to change %s to %s and names the field', (name, value) => {
    const errors = [expect.objectContaining({ parameter: name })];
    const expected = expect.objectContaining({ code: 'invalid_policy', facts: expect.objectContaining({ errors }) });
    expect(() => readAmendment({ [name]: value })).toThrow(expected);
  });
});
