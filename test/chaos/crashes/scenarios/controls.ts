/** Work that somebody takes a hand in: paused, cancelled, put off, retried, ended behind the service's back. */
import type { Scenario, Scene } from '../scenario.ts';
import { products } from './bodies.ts';

const NOTED = { 'control.noted': 1, 'control.signalled': 1 } as const;

async function begun({ customer }: Scene, id: string): Promise<void> {
  await customer.until(id, 'begun', ({ counts }) => counts.succeeded > 0);
}

export const paused: Scenario = {
  name: 'paused',
  reaches: {
    ...{ 'control.noted': 2, 'control.signalled': 2, 'checkpoint.written': 1 },
    ...{ 'slice.log_read': 2, 'slice.committed': 2, 'slice.journalled': 1, 'slice.journals_deleted': 2 },
  },
  async play(scene) {
    const { lane, customer, tag, arm } = scene;
    await lane.vendors.products.configure({ latencyMs: 100 });
    await arm();
    const id = await customer.submit(products(tag, 800));
    await begun(scene, id);
    await customer.control('pause', id);
    await customer.until(id, 'paused', ({ state }) => state === 'paused');
    await customer.control('resume', id);
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 800, succeeded: 800 } }];
  },
};

export const cancelled: Scenario = {
  name: 'cancelled',
  reaches: { ...NOTED, 'settle.before_commit': 1, 'settle.committed': 1, 'finalize.summary_written': 1 },
  async play(scene) {
    const { lane, customer, tag, arm } = scene;
    await lane.vendors.products.configure({ latencyMs: 150 });
    await arm();
    const id = await customer.submit(products(tag, 2_600));
    await begun(scene, id);
    await customer.control('cancel', id);
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 2_600, failed: 0 } }];
  },
};

/** Put off, then brought forward. */
export const scheduled: Scenario = {
  name: 'scheduled',
  reaches: { 'control.noted': 1, 'checkpoint.written': 1, 'submit.record_created': 1, 'submit.workflow_started': 1 },
  async play({ lane, customer, tag, arm }) {
    await lane.vendors.products.configure({ latencyMs: 2 });
    const scheduledAtMs = Date.now() + 120_000;
    const query = { scheduledAt: new Date(scheduledAtMs).toISOString() };
    await arm();
    const id = await customer.submit({ ...products(tag, 100), query, scheduledAtMs });
    await customer.until(id, 'scheduled', ({ state }) => state === 'scheduled');
    await customer.amend(id, { scheduledAt: new Date(Date.now() + 5_000).toISOString() });
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 100, succeeded: 100 } }];
  },
};

export const retried: Scenario = {
  name: 'retried',
  reaches: {
    ...{ 'retry.chunks_written': 1, 'retry.place_taken': 1, 'retry.marker_written': 1, 'retry.run_created': 1 },
    ...{ 'retry.workflow_started': 1, 'slice.log_read': 1, 'slice.call_answered': 60, 'slice.before_commit': 1 },
    ...{
      'slice.committed': 1,
      'slice.summary_written': 1,
      'finalize.summary_written': 1,
      'finalize.marker_deleted': 1,
    },
  },
  async play({ lane, customer, tag, arm }) {
    const { products: vendor } = lane.vendors;
    await vendor.configure({ latencyMs: 2, rejectNames: ['bad'] });
    const id = await customer.submit(products(tag, 300, 5));
    await customer.ended(id);
    await customer.download(id);
    await vendor.configure({ latencyMs: 20, rejectNames: [] });
    await arm();
    await customer.retry(id, { fromRun: 1, outcomes: ['failed'] });
    await customer.ended(id, 2);
    return [{ id, run: 2, counts: { total: 300, succeeded: 300 } }];
  },
};

/** Nobody starts its workflow but the reconciler: no client asks again. */
export const leftToReconciler: Scenario = {
  name: 'reconciler',
  reaches: { 'reconciler.before_start': 1 },
  async play({ lane, customer, tag, arm, withoutTemporal }) {
    await withoutTemporal();
    const id = await customer.submit(products(tag, 100));
    await lane.replace('api');
    await arm();
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 100, succeeded: 100 } }];
  },
};

/** Temporal is away when it is accepted, and the process dies before it can say so. */
export const outbox: Scenario = {
  name: 'outbox',
  reaches: { 'submit.left_to_outbox': 1 },
  async play({ customer, tag, arm, withoutTemporal }) {
    await withoutTemporal();
    await arm();
    const id = await customer.submit(products(tag, 100));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 100, succeeded: 100 } }];
  },
};

/** An operator terminates it: what was done is told, and the rest is given up. */
export const terminated: Scenario = {
  name: 'terminated',
  reaches: { 'survey.read': 1, 'settle.before_commit': 1, 'settle.committed': 1, 'reconciler.before_start': 1 },
  async play(scene) {
    const { lane, customer, tag, arm, operator } = scene;
    await lane.vendors.products.configure({ latencyMs: 150 });
    await arm();
    const id = await customer.submit(products(tag, 2_600));
    await begun(scene, id);
    await operator.terminate(id);
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 2_600, failed: 0 } }];
  },
};

/** The server loses the workflow of a paused operation: another one finds out where it stood. */
export const forgotten: Scenario = {
  name: 'forgotten',
  reaches: { 'survey.read': 1, 'reconciler.before_start': 1 },
  async play(scene) {
    const { lane, customer, tag, arm, operator } = scene;
    await lane.vendors.products.configure({ latencyMs: 100 });
    const id = await customer.submit(products(tag, 800));
    await begun(scene, id);
    await customer.control('pause', id);
    await customer.until(id, 'paused', ({ state }) => state === 'paused');
    await arm();
    await operator.forget(id);
    await customer.until(id, 'paused and alive again', ({ state, live }) => state === 'paused' && live);
    await customer.control('resume', id);
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 800, succeeded: 800 } }];
  },
};
