/** Counts add up at every read, and no reader is shown an older state after anybody was shown a newer one. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import type { Fault, Reading } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';

const DECIDED = ['succeeded', 'failed', 'skipped', 'cancelled', 'unknown'] as const;

/**
 * What one API process has shown, another may have asked for earlier: an answer is shared for 500 ms, and a query may
 * take 1.5 s before it. Within one process there is no such grace.
 */
export const SHARED_ANSWER_MS = 2_000;

export const countsRise: Rule = {
  name: 'counts rise',
  check({ operations, faults }, witness) {
    for (const operation of operations) {
      for (const reading of operation.readings) checkSum(operation, reading, witness);
      const wasRetried = operation.requests.some(({ retried }) => retried !== null);
      const full = operation.readings.filter(({ run, revision }) => run !== null && revision !== null);
      const plain = operation.readings.filter(({ run, via }) => run === null && via !== 'list');
      checkOrder(operation, full, faults, witness);
      if (!wasRetried) for (const shape of shapesOf(plain)) checkOrder(operation, shape, faults, witness);
      checkStreams(operation, witness);
    }
  },
};

function checkSum(operation: OperationSeen, { counts }: Reading, witness: Witness): void {
  const { total, ...parts } = counts;
  const sum = Object.values(parts).reduce((all, count) => all + count, 0);
  witness.fact();
  if (sum !== total) witness.violation(`counts do not add up: ${JSON.stringify(counts)}`, operation);
  if (Object.values(counts).some((count) => !Number.isInteger(count) || count < 0)) {
    witness.violation(`counts are no numbers of items: ${JSON.stringify(counts)}`, operation);
  }
}

/** Surfaces group outcomes differently: like is compared with like. */
function shapesOf(readings: readonly Reading[]): Iterable<readonly Reading[]> {
  const shapes = new Map<string, Reading[]>();
  for (const reading of readings) {
    const shape = Object.keys(reading.counts).sort().join();
    shapes.set(shape, [...(shapes.get(shape) ?? []), reading]);
  }
  return shapes.values();
}

/** The newest of what had been shown by then. */
interface Frontier {
  readonly seenAtMs: number;
  readonly run: number;
  readonly revision: number;
  /** Of that run, the most that was seen of each. */
  readonly most: Readonly<Record<(typeof DECIDED)[number], number>>;
}

/** `readings` by the time at which they were seen. */
function checkOrder(
  operation: OperationSeen,
  readings: readonly Reading[],
  faults: Arranged['faults'],
  witness: Witness,
): void {
  const byInstance = new Map<string, Reading[]>();
  for (const reading of readings) {
    const instance = instanceOf(reading, faults);
    const own = byInstance.get(instance);
    if (own === undefined) byInstance.set(instance, [reading]);
    else own.push(reading);
  }
  const frontiers = new Map([...byInstance].map(([instance, own]) => [instance, frontiersOf(own)]));
  for (const [instance, own] of byInstance) {
    for (const reading of own) {
      for (const [other, shown] of frontiers) {
        const isOwn = other === instance;
        // From memory or a checkpoint: it says so, and from when.
        if (!isOwn && !reading.live) continue;
        const before = frontierAt(shown, reading.beganAtMs - (isOwn ? 0 : SHARED_ANSWER_MS));
        if (before !== null) checkNotOlder(operation, before, reading, witness);
      }
    }
  }
}

/** An API process until it is killed or frozen: what it remembers dies with it. */
function instanceOf({ server, seenAtMs }: Reading, faults: readonly Fault[]): string {
  const deaths = faults.filter(({ what, whom, fromMs }) => what === 'api' && whom === server && fromMs <= seenAtMs);
  return `${server}#${deaths.length}`;
}

function frontiersOf(readings: readonly Reading[]): readonly Frontier[] {
  const frontiers: Frontier[] = [];
  for (const { seenAtMs, run: seenRun, revision: seenRevision, counts } of readings) {
    const [run, revision] = [seenRun ?? 1, seenRevision ?? 0];
    const before = frontiers.at(-1);
    const most = (keep: Frontier | undefined): Frontier['most'] => ({
      succeeded: Math.max(counts.succeeded ?? 0, keep?.most.succeeded ?? 0),
      failed: Math.max(counts.failed ?? 0, keep?.most.failed ?? 0),
      skipped: Math.max(counts.skipped ?? 0, keep?.most.skipped ?? 0),
      cancelled: Math.max(counts.cancelled ?? 0, keep?.most.cancelled ?? 0),
      unknown: Math.max(counts.unknown ?? 0, keep?.most.unknown ?? 0),
    });
    if (before === undefined || run > before.run) frontiers.push({ seenAtMs, run, revision, most: most(undefined) });
    else if (run < before.run) frontiers.push({ ...before, seenAtMs });
    else frontiers.push({ seenAtMs, run, revision: Math.max(revision, before.revision), most: most(before) });
  }
  return frontiers;
}

/** The last that was seen at or before a moment. */
function frontierAt(frontiers: readonly Frontier[], atMs: number): Frontier | null {
  let low = 0;
  let high = frontiers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((frontiers[middle]?.seenAtMs ?? 0) <= atMs) low = middle + 1;
    else high = middle;
  }
  return frontiers[low - 1] ?? null;
}

function checkNotOlder(operation: OperationSeen, before: Frontier, now: Reading, witness: Witness): void {
  witness.fact();
  const [run, revision] = [now.run ?? 1, now.revision ?? 0];
  const where = `by ${now.server} (${now.via}${now.live ? '' : ', not live'})`;
  if (run < before.run) {
    witness.violation(`run ${run} is shown ${where} after run ${before.run}`, operation);
    return;
  }
  if (run > before.run) return;
  if (revision < before.revision) {
    witness.violation(`revision ${revision} of run ${run} is shown ${where} after ${before.revision}`, operation);
  }
  for (const outcome of DECIDED) {
    const [was, is] = [before.most[outcome], now.counts[outcome]];
    if (is !== undefined && is < was) {
      witness.violation(`${outcome} falls from ${was} to ${is} in run ${run} ${where}`, operation);
    }
  }
}

/** Within one stream the order of events is the order of time. */
function checkStreams(operation: OperationSeen, witness: Witness): void {
  const last = new Map<number, Reading>();
  for (const reading of operation.readings) {
    const { stream, run, revision } = reading;
    if (stream === null || run === null || revision === null) continue;
    const before = last.get(stream);
    last.set(stream, reading);
    witness.fact();
    if (before === undefined || before.run === null || before.revision === null) continue;
    if (run < before.run || (run === before.run && revision < before.revision)) {
      const fall = `${before.run}.${before.revision} to ${run}.${revision}`;
      witness.violation(`a stream of events falls from ${fall}`, operation);
    }
  }
}
