/** Draws a whole epoch's faults before it begins: storms of several at once, and quiet spells in which all recovers. */
import type { SettingsChange } from '../../../src/mock-vendor/settings.ts';
import type { HttpFault, LinkFault, Way } from '../links/fault.ts';
import type { Random } from '../random.ts';
import { APIS, type DiskFault, type ProcessName, type StoreKind, VENDORS, WORKERS } from '../stack/stack.ts';

export type Strike =
  | { readonly do: 'kill' | 'freeze'; readonly whom: ProcessName }
  | { readonly do: 'kill_temporal' | 'freeze_temporal' | 'kill_database' | 'restart_database' }
  | { readonly do: 'link'; readonly whom: string; readonly fault: LinkFault }
  | { readonly do: 'store'; readonly whom: string; readonly fault: HttpFault }
  | { readonly do: 'disk'; readonly whom: readonly ProcessName[]; readonly fault: DiskFault }
  | { readonly do: 'vendor'; readonly whom: (typeof VENDORS)[number]; readonly change: SettingsChange };

export interface PlannedFault {
  /** From the epoch's start. */
  readonly atMs: number;
  readonly forMs: number;
  readonly strike: Strike;
}

/** Longest that any one lasts: what recovers must have the time to. */
const FAULT_MS = { from: 200, to: 12_000 };
const STORM_MS = { from: 12_000, to: 40_000 };
const QUIET_MS = { from: 6_000, to: 14_000 };
const GAP_MS = { from: 200, to: 5_000 };
/** Beyond the heartbeat timeout (4 s): by then somebody else has the work. */
const FREEZE_MS = { from: 4_500, to: 9_000 };
const AT_ONCE_MAX = 4;

/** The same for the same seed, length and store. In the order of `atMs`; none of one thing overlaps another of it. */
export function planFaults(random: Random, lengthMs: number, store: StoreKind): readonly PlannedFault[] {
  const planned: PlannedFault[] = [];
  for (let atMs = 3_000; atMs < lengthMs; ) {
    const stormEndMs = Math.min(lengthMs, atMs + random.between(STORM_MS.from, STORM_MS.to));
    while (atMs < stormEndMs) {
      const fault = { atMs: Math.round(atMs), ...drawFault(random, store) };
      if (fits(fault, planned)) planned.push(fault);
      atMs += random.between(GAP_MS.from, GAP_MS.to);
    }
    const overAtMs = Math.max(...planned.map((fault) => fault.atMs + fault.forMs), atMs);
    atMs = overAtMs + random.between(QUIET_MS.from, QUIET_MS.to);
  }
  return planned;
}

function fits(fault: PlannedFault, planned: readonly PlannedFault[]): boolean {
  const meanwhile = planned.filter((other) => other.atMs + other.forMs > fault.atMs);
  const things = new Set(meanwhile.flatMap((other) => thingsOf(other.strike)));
  return meanwhile.length < AT_ONCE_MAX && !thingsOf(fault.strike).some((thing) => things.has(thing));
}

/** What a fault has to itself: two at once would end each other. */
function thingsOf(strike: Strike): readonly string[] {
  switch (strike.do) {
    case 'kill':
    case 'freeze':
      return [strike.whom];
    case 'kill_temporal':
    case 'freeze_temporal':
      return ['temporal'];
    case 'kill_database':
    case 'restart_database':
      return ['database'];
    case 'disk':
      return strike.whom.map((name) => `disk of ${name}`);
    case 'link':
    case 'store':
      return [strike.whom];
    case 'vendor':
      return [`vendor ${strike.whom}`];
  }
}

const WEIGHTS = {
  kill: 16,
  freeze: 10,
  kill_temporal: 5,
  freeze_temporal: 2,
  kill_database: 4,
  restart_database: 3,
  link: 32,
  store: 14,
  vendor: 18,
} as const;

function drawFault(random: Random, store: StoreKind): Omit<PlannedFault, 'atMs'> {
  const forMs = Math.round(FAULT_MS.from * (FAULT_MS.to / FAULT_MS.from) ** random.next());
  const kind = random.weighted(WEIGHTS);
  switch (kind) {
    case 'kill':
      return { forMs: 1, strike: { do: kind, whom: random.pick<ProcessName>([...APIS, ...WORKERS, ...WORKERS]) } };
    case 'freeze': {
      const whom = random.pick<ProcessName>([...APIS, ...WORKERS, ...WORKERS]);
      return { forMs: Math.round(random.between(FREEZE_MS.from, FREEZE_MS.to)), strike: { do: kind, whom } };
    }
    case 'kill_temporal':
    case 'kill_database':
    case 'restart_database':
      return { forMs: 1, strike: { do: kind } };
    case 'freeze_temporal':
      return { forMs: Math.min(forMs, 5_000), strike: { do: kind } };
    case 'link':
      return { forMs, strike: { do: 'link', whom: drawLink(random, store), fault: drawLinkFault(random) } };
    case 'store':
      return { forMs, strike: store === 's3' ? drawStoreFault(random) : drawDiskFault(random) };
    case 'vendor':
      return { forMs, strike: { do: 'vendor', whom: random.pick(VENDORS), change: drawVendorFault(random) } };
  }
}

function drawLink(random: Random, store: StoreKind): string {
  const kind = random.weighted({
    client: 3,
    callback: 2,
    vendor: 5,
    temporal: 6,
    database: 3,
    store: store === 's3' ? 4 : 0,
  });
  if (kind === 'client') return `client→${random.pick(APIS)}`;
  if (kind === 'callback') return 'vendor→api';
  if (kind === 'vendor') return `${random.pick(WORKERS)}→vendor`;
  return `${random.pick<ProcessName>([...APIS, ...WORKERS])}→${kind}`;
}

function drawLinkFault(random: Random): LinkFault {
  const way = random.pick<Way>(['both', 'both', 'up', 'down']);
  switch (random.weighted({ reset: 4, refuse: 2, hold: 3, hole: 4, delay: 3, trickle: 2 })) {
    case 'reset':
      return { kind: 'reset' };
    case 'refuse':
      return { kind: 'refuse' };
    case 'hold':
      return { kind: 'hold', way };
    case 'hole':
      return { kind: 'hole', way };
    case 'delay':
      return { kind: 'delay', delayMs: random.whole(20, 2_000) };
    case 'trickle':
      return { kind: 'trickle', bytesPerSecond: random.whole(500, 50_000) };
  }
}

function drawStoreFault(random: Random): Strike {
  const whom = `${random.pick<ProcessName>([...APIS, ...WORKERS, ...WORKERS])}→store`;
  const common = { kind: 'http', share: random.pick([0.1, 0.3, 0.7, 1]), seed: random.whole(1, 1_000_000) } as const;
  const what = random.pick(['slow_down', 'internal_error', 'cut_before', 'cut_after', 'cut_after', 'slow'] as const);
  const fault: HttpFault =
    what === 'slow' ? { ...common, what, delayMs: random.whole(100, 4_000) } : { ...common, what };
  return { do: 'store', whom, fault };
}

/** A disk that is full is full for everybody; errors and slowness may be of one process's mount. */
function drawDiskFault(random: Random): Strike {
  const share = random.pick([0.05, 0.3, 0.7, 1]);
  const kind = random.pick(['ENOSPC', 'EIO', 'slow'] as const);
  const one = random.pick<ProcessName>([...APIS, ...WORKERS, ...WORKERS]);
  const whom = kind === 'ENOSPC' || random.chance(0.2) ? [...APIS, ...WORKERS] : [one];
  const fault: DiskFault = kind === 'slow' ? { kind, share, delayMs: random.whole(20, 1_500) } : { kind, share };
  return { do: 'disk', whom, fault };
}

function drawVendorFault(random: Random): SettingsChange {
  const share = random.pick([0.05, 0.3, 1]);
  switch (random.weighted({ slow: 3, errors: 4, limit: 3, hang: 2, reset_before: 2, reset_after: 3, down: 3 })) {
    case 'slow':
      return { latencyMs: random.whole(200, 2_000), jitterMs: random.whole(0, 1_000) };
    case 'errors':
      return { errors: { [random.pick(['500', '502', '503', '408', '425'])]: share } };
    case 'limit':
      return { callsPerSecond: random.pick([5, 20, 50]) };
    case 'hang':
      return { hangRate: Math.min(share, 0.5), hangAppliesEffect: random.chance(0.5) };
    case 'reset_before':
      return { resetBeforeEffectRate: share };
    case 'reset_after':
      return { resetAfterEffectRate: share };
    case 'down':
      return { down: random.chance(0.5) ? true : 'reset', retryAfterSeconds: random.pick([null, 1]) };
  }
}
