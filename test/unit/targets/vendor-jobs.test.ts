import { expect, test } from 'vitest';
import { parseExact } from '../../../src/targets/exact-json.ts';
import type { SubmitContext } from '../../../src/targets/target.ts';
import { async, sync } from '../../../src/targets/vendor-jobs.ts';
import type { VendorRequest } from '../../../src/vendors/vendor.ts';

type Answer = Awaited<ReturnType<SubmitContext['vendor']>>;

function contextOf(answer: Answer) {
  const requests: VendorRequest[] = [];
  const context: SubmitContext = {
    async vendor(request) {
      requests.push(request);
      return answer;
    },
    signal: new AbortController().signal,
    operation: { account: 'a', id: 'op', uid: 'U' },
    callbackUrl: ({ index }) => `https://us/callbacks/${index}`,
  };
  return { context, requests };
}

const said = (status: number, body: string): Answer => ({ kind: 'answer', status, body });

function itemOf(text: string) {
  const { value, exact } = parseExact(text);
  return { index: 3, item: value, exact, idempotencyKey: 'U:3' };
}

test.each(['null', '0.10', '"a"', '[1,[2]]', '{"n":12345678901234567890}', 'false'])(
  'the payload %s is sent digit for digit to both vendors',
  async (text) => {
    const toSync = contextOf(said(200, '{"result":null}'));
    await sync.applyOne?.(itemOf(text), toSync.context);
    expect(toSync.requests).toEqual([
      { method: 'POST', path: '/jobs', idempotencyKey: 'U:3', body: `{"payload":${text}}` },
    ]);
    const toAsync = contextOf(said(202, '{"id":"j"}'));
    await async.submit?.(itemOf(text), toAsync.context);
    expect(toAsync.requests[0]?.body).toBe(`{"payload":${text},"callbackUrl":"https://us/callbacks/3"}`);
  },
);

test.each([
  [said(200, '{"result":{"n":1}}'), { kind: 'succeeded', result: { n: 1 } }],
  [said(200, '{"result":null}'), { kind: 'succeeded', result: null }],
  [said(204, ''), { kind: 'succeeded' }],
  [said(200, '{"resu'), { kind: 'succeeded' }],
  [
    said(422, '{"code":"x","message":"no  such\\nthing"}'),
    { kind: 'failed', error: { message: 'vendor answered 422: no such thing' } },
  ],
  [said(302, ''), { kind: 'failed', error: { code: 'vendor_rejected', message: 'vendor answered 302' } }],
])('sync: the answer %o means %o', async (answer, applied) => {
  expect(await sync.applyOne?.(itemOf('1'), contextOf(answer).context)).toMatchObject(applied);
});

test.each([
  [said(202, '{"id":"job_1"}'), { kind: 'submitted', vendorRef: 'job_1' }],
  [said(200, '{"id":12345678901234567890}'), { kind: 'submitted', vendorRef: '12345678901234567890' }],
  [said(202, ''), { kind: 'submitted', vendorRef: null }],
  [said(202, '{"id":""}'), { kind: 'submitted', vendorRef: null }],
  [
    said(400, '{"error":"bad"}'),
    { kind: 'failed', error: { code: 'vendor_rejected', message: 'vendor answered 400: bad' } },
  ],
])('async: the answer %o to a submission means %o', async (answer, outcome) => {
  expect(await async.submit?.(itemOf('1'), contextOf(answer).context)).toMatchObject(outcome);
});

test.each([
  ['{"status":"complete","result":[1]}', { kind: 'succeeded', result: [1] }],
  ['{"status":"complete"}', { kind: 'succeeded' }],
  ['{"status":"failed","error":{"message":"no"}}', { kind: 'failed', error: { code: 'vendor_job_failed' } }],
  ['{"status":"processing"}', { kind: 'failed', error: { code: 'callback_invalid' } }],
  ['{}', { kind: 'failed', error: { code: 'callback_invalid' } }],
  ['null', { kind: 'failed', error: { code: 'callback_invalid' } }],
  ['[]', { kind: 'failed', error: { code: 'callback_invalid' } }],
])('the callback %s means %o', (body, outcome) => {
  expect(async.readCallback?.(parseExact(body).exact)).toMatchObject(outcome);
});

test.each([
  [said(200, '{"status":"complete","result":1}'), { kind: 'succeeded', result: 1 }],
  [said(200, '{"status":"failed"}'), { kind: 'failed' }],
  [said(200, '{"status":"processing"}'), { kind: 'pending' }],
  [said(200, 'garbage'), { kind: 'pending' }],
  [said(404, '{}'), { kind: 'pending' }],
  [{ kind: 'not_called' } as const, { kind: 'not_called' }],
])('asked for a job, the answer %o means %o', async (answer, outcome) => {
  const { context, requests } = contextOf(answer);
  expect(await async.poll?.('job/1', itemOf('1'), context)).toMatchObject(outcome);
  expect(requests[0]).toMatchObject({ method: 'GET', path: '/jobs/job%2F1', body: null });
  expect(requests[0]?.idempotencyKey).not.toBe('U:3');
});
