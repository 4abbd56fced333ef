/** Work that is submitted, applied and over: one chunk, several, slot by slot, job by job, found by its body. */
import { FORM_TYPE, formBody } from '../../../fixtures/stack/form.ts';
import type { Scenario } from '../scenario.ts';
import { contacts, jobs, keyless, products } from './bodies.ts';

const ACCEPTED = {
  'submit.chunks_written': 1,
  'submit.place_taken': 1,
  'submit.marker_written': 1,
  'submit.record_created': 1,
  'submit.workflow_started': 1,
} as const;
const ENDED = { 'finalize.summary_written': 1, 'finalize.marker_deleted': 1 } as const;
const SLICES = {
  'slice.log_read': 1,
  'slice.before_commit': 1,
  'slice.committed': 1,
  'slice.journals_deleted': 1,
} as const;

/** Its chunk stands in the record, and one slice after the other does it. */
export const small: Scenario = {
  name: 'small',
  reaches: { ...ACCEPTED, ...ENDED, ...SLICES, 'slice.call_answered': 300, 'slice.summary_written': 1 },
  async play({ lane, customer, tag, random, arm }) {
    await lane.vendors.products.configure({ latencyMs: random.whole(2, 30) });
    await arm();
    const id = await customer.submit(products(tag, 300));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 300, succeeded: 300 } }];
  },
};

/** Two chunks, the first of them several boxes long. */
export const chunks: Scenario = {
  name: 'chunks',
  reaches: {
    ...{ ...ACCEPTED, ...ENDED, 'submit.chunk_written': 2, 'slice.log_read': 3, 'slice.call_answered': 2_600 },
    ...{ 'slice.journalled': 2, 'slice.before_commit': 3, 'slice.committed': 3, 'slice.compacted': 1 },
    ...{ 'slice.journals_deleted': 3 },
  },
  async play({ lane, customer, tag, random, arm }) {
    await lane.vendors.products.configure({ latencyMs: random.whole(12, 25) });
    await arm();
    const id = await customer.submit(products(tag, 2_600));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 2_600, succeeded: 2_600 } }];
  },
};

/** One box, so long that only the journal can say what was answered in it. */
export const long: Scenario = {
  name: 'long',
  reaches: { ...ENDED, 'slice.call_answered': 1_000, 'slice.journalled': 5, 'slice.before_commit': 1 },
  async play({ lane, customer, tag, arm }) {
    await lane.vendors.products.configure({ latencyMs: 100 });
    await lane.configure('api', { BOX_MS: '30000', BOX_MAX_MS: '30000' });
    await arm();
    const id = await customer.submit(products(tag, 1_000));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 1_000, succeeded: 1_000 } }];
  },
};

/** Half of the items fail for good, some for now: their attempts are part of what must survive. */
export const refused: Scenario = {
  name: 'refused',
  reaches: { ...ENDED, ...SLICES, 'slice.call_answered': 300, 'slice.journalled': 1 },
  async play({ lane, customer, tag, random, arm }) {
    const errors = { '500': 0.05, '503': 0.05 };
    await lane.vendors.products.configure({ latencyMs: 40, errors, rejectNames: ['bad'], seed: random.whole(1, 1e9) });
    await arm();
    const id = await customer.submit(products(tag, 400, 2));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 400, unknown: 0, cancelled: 0 } }];
  },
};

export const withoutKey: Scenario = {
  name: 'keyless',
  reaches: { ...ACCEPTED, 'submit.keyless_claimed': 1 },
  async play({ customer, tag, arm }) {
    await arm();
    const id = await customer.submit(keyless(tag, 120));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 120, succeeded: 120 } }];
  },
};

/** Three slots of one chunk, each a transaction. */
export const table: Scenario = {
  name: 'contacts',
  reaches: {
    ...{ ...ACCEPTED, ...ENDED, ...SLICES, 'prepare.marks_written': 1, 'slice.summary_written': 1 },
    ...{ 'batch.before_effect': 3, 'batch.before_database_commit': 3, 'batch.database_committed': 3 },
  },
  async play({ customer, tag, arm }) {
    const { submission, firsts, duplicates } = contacts(tag, 1_200);
    await arm();
    const id = await customer.submit(submission);
    await customer.ended(id);
    const counts = { total: 1_200, succeeded: firsts, skipped: duplicates };
    return [{ id, run: 1, counts, rowsTag: tag }];
  },
};

/** A form with a file: four chunks with duplicates across them. */
export const file: Scenario = {
  name: 'file',
  reaches: {
    ...{ ...ACCEPTED, ...ENDED, 'submit.chunk_written': 4, 'prepare.marks_written': 4, 'slice.log_read': 4 },
    ...{ 'batch.before_effect': 4, 'batch.before_database_commit': 4, 'batch.database_committed': 4 },
    ...{ 'slice.before_commit': 4, 'slice.committed': 4 },
  },
  async play({ customer, tag, arm }) {
    const { submission, csv, firsts, duplicates } = contacts(tag, 600);
    const fields = [
      ['actionType', 'BULK_UPDATE'],
      ['entityType', 'Contact'],
    ] as const;
    const body = formBody({ fields, file: { content: csv } });
    await arm();
    const id = await customer.submit({ ...submission, surface: 'bulk-actions', type: FORM_TYPE, body });
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 600, succeeded: firsts, skipped: duplicates }, rowsTag: tag }];
  },
};

/** The vendor takes each item and calls back, now and then twice. */
export const calledBack: Scenario = {
  name: 'callbacks',
  reaches: {
    ...{ ...ACCEPTED, ...SLICES, 'slice.call_answered': 120, 'callback.stored': 100, 'callback.collected': 1 },
    ...{ 'finalize.summary_written': 1 },
  },
  async play({ lane, customer, tag, random, arm }) {
    const callbacks = { callbackDelayMs: 80, callbackJitterMs: 300, callbackEarlyRate: 0.1, callbackDoubledRate: 0.1 };
    await lane.vendors.async.configure({ latencyMs: 10, ...callbacks, seed: random.whole(1, 1e9) });
    await arm();
    const id = await customer.submit(jobs(tag, 120));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 120, succeeded: 120 } }];
  },
};
