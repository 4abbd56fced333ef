/** Hands chunks to the sink in order, two at a time at most: while both are under way, nothing more is read. */
import type { EncodedChunk } from './chunker.ts';
import type { ChunkSink } from './ingest.ts';

const IN_FLIGHT_MAX = 2;

export interface Delivery {
  /** Resolves once the sink has been called; throws what an earlier call threw. */
  send(chunk: EncodedChunk): Promise<void>;
  /** Throws what a call threw meanwhile. */
  check(): void;
  /** Resolves once no call is under way, failed or not. */
  settled(): Promise<void>;
}

export function createDelivery(sink: ChunkSink): Delivery {
  const inFlight = new Set<Promise<void>>();
  let failure: { readonly cause: unknown } | null = null;

  const check = () => {
    if (failure !== null) throw failure.cause;
  };
  const deliver = async (chunk: EncodedChunk) => {
    try {
      await sink(chunk);
    } catch (cause) {
      failure ??= { cause };
    }
  };
  return {
    send: async (chunk) => {
      while (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
      check();
      const delivered: Promise<void> = deliver(chunk).finally(() => inFlight.delete(delivered));
      inFlight.add(delivered);
    },
    check,
    settled: async () => {
      await Promise.all(inFlight);
    },
  };
}
