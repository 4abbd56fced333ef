/** Keeps a history while it happens: clients that note all they send and see, faults as they are done, ledgers at the end. */
import type { LedgerRow } from '../../src/mock-vendor/ledger.ts';
import type {
  BudgetInForce,
  Exchange,
  FaultKind,
  Frame,
  History,
  HistoryLine,
  TableEffects,
  VendorFacts,
} from './history.ts';
import { createRecordedClient, type RecordedClient, type RecordedClientOptions } from './recorded-client.ts';
import { createSender } from './sender.ts';

export interface Recorder {
  /** Epoch ms by the monotonic clock: the one that every line of this recorder is in. */
  nowMs(): number;
  client(options: RecordedClientOptions): RecordedClient;
  /** Begins a fault; call what it gives when the fault is over. Where that never comes, it lasts to the end. */
  fault(what: FaultKind, whom: string, detail?: string): () => void;
  /** Of what happened already. */
  faultBetween(what: FaultKind, whom: string, fromMs: number, toMs: number, detail?: string): void;
  vendor(facts: Omit<VendorFacts, 'kind'>): void;
  calls(vendor: string, rows: readonly LedgerRow[]): void;
  budget(budget: Omit<BudgetInForce, 'kind'>): void;
  effects(effects: Omit<TableEffects, 'kind'>): void;
  /** What clients know of: accepted, or maybe accepted under a key that names it. */
  operations(): readonly { readonly account: string; readonly id: string }[];
  lines(): number;
  /** The history so far, whole in itself. */
  history(frame: Pick<Frame, 'seed' | 'endsWithinMs' | 'store'>): History;
  /** Forgets what was noted; what began and has not ended stays. For runs longer than memory: an epoch at a time. */
  clear(): void;
  close(): Promise<void>;
}

const LAG_EVERY_MS = 50;
/** A machine that lets a timer wait this long keeps heartbeats and answers waiting, too. */
const STALL_MS = 250;

export const nowMs = (): number => performance.timeOrigin + performance.now();

export function createRecorder(): Recorder {
  const startedAtMs = nowMs();
  let epochAtMs = startedAtMs;
  let lines: HistoryLine[] = [];
  const open = new Set<{ readonly what: FaultKind; readonly whom: string; readonly fromMs: number; detail?: string }>();
  const known = new Map<string, { readonly account: string; readonly id: string }>();
  const sender = createSender();
  const note = (line: HistoryLine): void => {
    lines.push(line);
    if (line.kind === 'exchange') remember(line);
  };

  function remember({ account, submitted, status, operationId }: Exchange): void {
    if (submitted === null || operationId === null) return;
    if (status === null || status < 300 || status >= 500) {
      known.set(`${account}/${operationId}`, { account, id: operationId });
    }
  }

  let latenesses: number[] = [];
  let beatAtMs = nowMs();
  const lag = setInterval(() => {
    const now = nowMs();
    const lateMs = now - beatAtMs - LAG_EVERY_MS;
    latenesses.push(Math.max(0, lateMs));
    if (lateMs > STALL_MS) note({ kind: 'fault', what: 'stall', whom: 'machine', fromMs: beatAtMs, toMs: now });
    beatAtMs = now;
  }, LAG_EVERY_MS);
  lag.unref();

  return {
    nowMs,
    client: (options) => createRecordedClient({ sender, note, nowMs }, options),
    fault(what, whom, detail) {
      const fault = { what, whom, fromMs: nowMs(), ...(detail === undefined ? {} : { detail }) };
      open.add(fault);
      return () => {
        if (open.delete(fault)) note({ kind: 'fault', ...fault, toMs: nowMs() });
      };
    },
    faultBetween(what, whom, fromMs, toMs, detail) {
      note({ kind: 'fault', what, whom, fromMs, toMs, ...(detail === undefined ? {} : { detail }) });
    },
    vendor: (facts) => note({ kind: 'vendor', ...facts }),
    calls(vendor, rows) {
      for (const { at, key, traceId, method, status, applied, replayed, lagMs, ...more } of rows) {
        const sentAtMs = 'sentAtMs' in more && typeof more.sentAtMs === 'number' ? more.sentAtMs : null;
        note({ kind: 'call', vendor, at, sentAtMs, key, traceId, method, status, applied, replayed, lagMs });
      }
    },
    budget: (budget) => note({ kind: 'budget', ...budget }),
    effects: (effects) => note({ kind: 'effects', ...effects }),
    operations: () => [...known.values()],
    lines: () => lines.length,
    history(facts) {
      const endedAtMs = nowMs();
      const machineLagMs = percentile99(latenesses);
      const frame: Frame = { kind: 'frame', version: 1, ...facts, startedAtMs: epochAtMs, endedAtMs, machineLagMs };
      const lasting = [...open].map((fault) => ({ kind: 'fault', ...fault, toMs: endedAtMs }) as const);
      return { lines: [frame, ...lines, ...lasting] };
    },
    clear() {
      lines = [];
      latenesses = [];
      known.clear();
      epochAtMs = nowMs();
    },
    async close() {
      clearInterval(lag);
      await sender.close();
    },
  };
}

function percentile99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0);
}
