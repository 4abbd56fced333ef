/** Calls one vendor over warm keep-alive connections: place, slot, lease check, dispatch, classified answer. */
import { Client } from 'undici';
import type { Transient } from '../model/outcome.ts';
import { exchange, NOT_CALLED } from './exchange.ts';
import { createGate } from './gate.ts';
import type { CallContext, NotCalled, Slot, SlotSource, VendorAnswer, VendorClient, VendorRequest } from './vendor.ts';

export interface VendorClientOptions {
  /** The vendor's name in the slot source. */
  readonly name: string;
  /** `http://host:port`, with a path prefix where the vendor has one. */
  readonly baseUrl: string;
  /** Calls in flight at once, at most, from this process. Each has a connection of its own (no pipelining). */
  readonly connections: number;
  readonly slots: SlotSource;
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** Idle connections stay warm between slices; a vendor's shorter `Keep-Alive` hint is obeyed. */
const KEEP_ALIVE_MS = 60_000;

export function createVendorClient(options: VendorClientOptions): VendorClient {
  const { name, slots, connections } = options;
  const base = new URL(options.baseUrl);
  const prefix = base.pathname.replace(/\/$/, '');
  const gate = createGate(connections);
  // The exchange has one timer over the whole call, so undici's own two stay off.
  // One client per connection, the last used first: undici's own pool looks through all of them at every call.
  const free: Client[] = [];
  const clients: Client[] = [];
  const takeClient = (): Client => {
    const idle = free.pop();
    if (idle !== undefined) return idle;
    const client = new Client(base.origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS },
    });
    clients.push(client);
    return client;
  };

  type Called = VendorAnswer | Transient | NotCalled;

  function withSlot(slot: Slot | null, request: VendorRequest, context: CallContext): Promise<Called> {
    if (slot === null || context.signal.aborted || !context.mayCall()) {
      slot?.giveBack();
      gate.leave();
      return Promise.resolve(NOT_CALLED);
    }
    const client = takeClient();
    const over = () => {
      free.push(client);
      gate.leave();
    };
    return exchange(client, toDispatch(request, prefix), context, { over, notCalled: () => slot.giveBack() });
  }

  function admitted(request: VendorRequest, context: CallContext): Promise<Called> {
    const taking = takeSlot(name, slots, context);
    if (taking instanceof Promise) return taking.then((slot) => withSlot(slot, request, context));
    return withSlot(taking, request, context);
  }

  return {
    // Not async where nothing is waited for: each promise between a call and its answer is felt at this rate.
    call(request, context) {
      const entering = gate.enter(context.signal);
      if (entering === true) return admitted(request, context);
      return entering.then((admits) => (admits ? admitted(request, context) : NOT_CALLED));
    },
    close: async () => void (await Promise.all(clients.map((client) => client.close()))),
  };
}

function toDispatch({ method, path, body, idempotencyKey }: VendorRequest, prefix: string) {
  const headers =
    body === null
      ? ['idempotency-key', idempotencyKey]
      : ['content-type', 'application/json', 'idempotency-key', idempotencyKey];
  return { method, path: prefix + path, headers, body };
}

type Taken = Slot | null | Promise<Slot | null>;

/** The caller's own slot first: the vendor's, which others want too, is not held while waiting for it. */
function takeSlot(vendor: string, slots: SlotSource, { pace, signal }: CallContext): Taken {
  if (pace === undefined) return slots.take(vendor, signal);
  return whenTaken(pace.take(vendor, signal), (own) => {
    if (own === null) return null;
    return whenTaken(slots.take(vendor, signal), (shared) => withOwn(own, shared));
  });
}

function withOwn(own: Slot, shared: Slot | null): Slot | null {
  if (shared === null) {
    own.giveBack();
    return null;
  }
  return {
    giveBack() {
      own.giveBack();
      shared.giveBack();
    },
  };
}

/** Goes on in the same turn where the slot is free now. */
function whenTaken(taken: Taken, next: (slot: Slot | null) => Taken): Taken {
  return taken instanceof Promise ? taken.then(next) : next(taken);
}
