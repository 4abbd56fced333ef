/** Puts the lines of a history in order: by time, and by the operation that they are about. Decides nothing. */
import type {
  BudgetInForce,
  Download,
  Exchange,
  Fault,
  Frame,
  History,
  Reading,
  TableEffects,
  VendorCall,
  VendorFacts,
} from './history.ts';
import { callsByOperation, type ItemCalls } from './item-calls.ts';
import { mayHaveBegun, type RunSeen, runsOf } from './runs-seen.ts';

export interface Arranged {
  readonly frame: Frame;
  /** By the time at which they were sent. */
  readonly exchanges: readonly Exchange[];
  /** By the time at which they were seen. */
  readonly readings: readonly Reading[];
  /** By arrival. */
  readonly calls: readonly VendorCall[];
  /** By beginning. */
  readonly faults: readonly Fault[];
  readonly budgets: readonly BudgetInForce[];
  readonly vendors: ReadonlyMap<string, VendorFacts>;
  /** Those that were submitted in this history. */
  readonly operations: readonly OperationSeen[];
  /** Calls that no operation of this history explains. */
  readonly strays: readonly VendorCall[];
}

export interface OperationSeen {
  /** `<account>/<id>`. */
  readonly name: string;
  readonly account: string;
  readonly id: string;
  /** By time; also those without an answer whose key names it. */
  readonly submissions: readonly Exchange[];
  /** Everything else that was asked of it, by time. */
  readonly requests: readonly Exchange[];
  /** When a client first knew that it is accepted; null: nobody ever did. */
  readonly acceptedAtMs: number | null;
  readonly items: number | null;
  readonly target: string | null;
  /** By the time at which they were seen. */
  readonly readings: readonly Reading[];
  /** By run, from 1, as far as it is known. */
  readonly runs: readonly RunSeen[];
  /** Downloads of which the run is not certain. */
  readonly unplaced: readonly Download[];
  readonly calls: ItemCalls;
  /** null: its table was not looked at. */
  readonly effects: TableEffects | null;
}

export function arrange({ lines }: History): Arranged {
  const frame = lines.find((line) => line.kind === 'frame');
  if (frame === undefined) throw new Error('a history without its frame');
  const of = <Kind extends (typeof lines)[number]['kind']>(kind: Kind) =>
    lines.filter((line): line is Extract<(typeof lines)[number], { kind: Kind }> => line.kind === kind);
  const exchanges = of('exchange').sort((a, b) => a.sentAtMs - b.sentAtMs);
  const readings = of('reading').sort((a, b) => a.seenAtMs - b.seenAtMs);
  const calls = of('call').sort((a, b) => a.at - b.at);
  const parts = groupByOperation({ exchanges, readings, downloads: of('download'), effects: of('effects') });
  const { byName, strays } = callsByOperation(calls, parts);
  return {
    frame,
    exchanges,
    readings,
    calls,
    faults: of('fault').sort((a, b) => a.fromMs - b.fromMs),
    budgets: of('budget'),
    vendors: new Map(of('vendor').map((vendor) => [vendor.vendor, vendor])),
    // What was only seen, or sent again, may be of an earlier history, and half of its story missing.
    operations: [...parts.values()]
      .filter(({ submissions }) => submissions.some(mayBeFirst))
      .map((part) => toOperation(part, byName.get(part.name) ?? new Map())),
    strays,
  };
}

/** What the history says of one operation, before it is understood. */
export interface OperationPart {
  readonly name: string;
  readonly account: string;
  readonly id: string;
  readonly submissions: Exchange[];
  readonly requests: Exchange[];
  readonly readings: Reading[];
  readonly downloads: Download[];
  effects: TableEffects | null;
}

interface Lines {
  readonly exchanges: readonly Exchange[];
  readonly readings: readonly Reading[];
  readonly downloads: readonly Download[];
  readonly effects: readonly TableEffects[];
}

function groupByOperation({ exchanges, readings, downloads, effects }: Lines): ReadonlyMap<string, OperationPart> {
  const parts = new Map<string, OperationPart>();
  const partOf = (account: string, id: string): OperationPart => {
    const name = `${account}/${id}`;
    const standing = parts.get(name);
    if (standing !== undefined) return standing;
    const part = {
      ...{ name, account, id, submissions: [], requests: [], readings: [], downloads: [], effects: null },
    };
    parts.set(name, part);
    return part;
  };
  const idOfKey = new Map<string, string>();
  for (const exchange of exchanges) {
    if (exchange.submitted !== null && exchange.operationId !== null && exchange.submitted.key !== null) {
      idOfKey.set(keyName(exchange), exchange.operationId);
    }
  }
  for (const exchange of exchanges) {
    const id = exchange.operationId ?? idOfKey.get(keyName(exchange)) ?? null;
    if (id === null) continue;
    // Only what found it is about it: an account may ask for what is another's, or for what there never was.
    if (exchange.submitted !== null) partOf(exchange.account, id).submissions.push(exchange);
    else if (exchange.status === null || exchange.status < 400 || parts.has(`${exchange.account}/${id}`))
      partOf(exchange.account, id).requests.push(exchange);
  }
  for (const reading of readings) partOf(reading.account, reading.operationId).readings.push(reading);
  for (const download of downloads) partOf(download.account, download.operationId).downloads.push(download);
  for (const effect of effects) partOf(effect.account, effect.operationId).effects = effect;
  return parts;
}

function keyName({ account, submitted }: Exchange): string {
  return submitted?.key == null ? '' : JSON.stringify([account, submitted.surface, submitted.key]);
}

/** True where this very request may be the one that was accepted. */
function mayBeFirst({ status, replayed }: Exchange): boolean {
  return mayHaveBegun(status) && !replayed;
}

function toOperation(part: OperationPart, calls: ItemCalls): OperationSeen {
  const { name, account, id, submissions, requests, readings, effects } = part;
  const accepted = submissions.filter(({ status }) => status !== null && status < 300);
  const seenAt = readings[0]?.seenAtMs ?? Number.POSITIVE_INFINITY;
  const acceptedAt = Math.min(seenAt, ...accepted.map(({ endedAtMs }) => endedAtMs));
  // Whose payload it is: of those that were let in, else of those that may have been, where they agree.
  const candidates = accepted.length > 0 ? accepted.slice(0, 1) : submissions.filter(mayBeFirst);
  const payloads = new Set(candidates.map(({ submitted }) => submitted?.payload));
  const facts = payloads.size === 1 ? (candidates[0]?.submitted ?? null) : null;
  const { runs, unplaced } = runsOf(part);
  return {
    ...{ name, account, id, submissions, requests, readings, runs, unplaced, calls, effects },
    acceptedAtMs: acceptedAt === Number.POSITIVE_INFINITY ? null : acceptedAt,
    items: facts?.items ?? null,
    target: facts?.target ?? null,
  };
}
