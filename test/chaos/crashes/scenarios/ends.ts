/** What is governed, and what goes for good. */

import { blobsOf } from '../../../fixtures/stack/blobs.ts';
import { eventually } from '../../../fixtures/stack/eventually.ts';
import type { Scenario, Scene } from '../scenario.ts';
import { products } from './bodies.ts';

/** Its calls are booked over all workers. */
export const governed: Scenario = {
  name: 'governed',
  reaches: { 'governor.before_booking': 3, 'governor.booked': 3, 'slice.call_answered': 300 },
  async play({ lane, customer, tag, arm, allow }) {
    await lane.vendors.products.configure({ latencyMs: 5 });
    await allow(100);
    await arm();
    const id = await customer.submit(products(tag, 300));
    await customer.ended(id);
    return [{ id, run: 1, counts: { total: 300, succeeded: 300 } }];
  },
};

export const purged: Scenario = {
  name: 'purged',
  reaches: { 'purge.tombstone_written': 1, 'purge.blobs_deleted': 1, 'purge.workflow_deleted': 1 },
  play: (scene) => purge(scene, LEFT_BY_THEN),
};

/** Until nothing is left to be done for it. */
export const swept: Scenario = {
  name: 'swept',
  reaches: { 'sweep.before_delete': 1, 'purge.tombstone_written': 1 },
  play: (scene) => purge(scene, [...LEFT_BY_THEN, /^purging\//]),
};

/** A sweeper that was killed held its lease for up to a minute. */
const SWEPT_WITHIN_MS = 120_000;

/** Of the one operation that the account has. */
const LEFT_BY_THEN = [/^data\//];

async function purge({ lane, customer, tag, arm }: Scene, gone: readonly RegExp[]) {
  const before = new Set(await blobsOf(lane.dataDir));
  const id = await customer.submit(products(tag, 300));
  await customer.ended(id);
  await customer.download(id);
  await arm();
  await customer.purge(id);
  const nothingLeft = async () => {
    const left = (await blobsOf(lane.dataDir)).filter((path) => !before.has(path));
    const ours = left.filter((path) => gone.some((pattern) => pattern.test(path)));
    if (ours.length > 0) throw new Error(`left: ${ours.slice(0, 3).join(', ')}`);
    return true;
  };
  await eventually('the end of what it kept', nothingLeft, { withinMs: SWEPT_WITHIN_MS, everyMs: 100 });
  return [{ id, run: 1, counts: null }];
}
