/** What the vendor remembers of idempotency keys: who runs, what was answered, and how often the effect was applied. */
import { createTextArena } from './text-arena.ts';

export interface StoredAnswer {
  readonly status: number;
  readonly body: string;
}

/** What a key says of a call that comes under it. */
export type KeyVerdict =
  | { readonly kind: 'first' }
  | { readonly kind: 'in_use' }
  | { readonly kind: 'reused' }
  | { readonly kind: 'replay'; readonly answer: StoredAnswer };

export interface KeyMemory {
  /** `first` marks the key as running until `finish`. */
  begin(key: string, fingerprint: number): KeyVerdict;
  /** Stores the answer of an execution; `applied` counts its effect. Returns the effects under this key so far. */
  finish(key: string, fingerprint: number, answer: StoredAnswer, applied: boolean): number;
  clear(): void;
}

const FIRST: KeyVerdict = { kind: 'first' };
const IN_USE: KeyVerdict = { kind: 'in_use' };
const REUSED: KeyVerdict = { kind: 'reused' };

/**
 * Finished keys live in two generations: when the younger holds half of `keysMax`, it becomes the older and the
 * older is dropped whole. So the newest half is always kept, at no cost per call.
 */
export function createKeyMemory(keysMax: number): KeyMemory {
  const running = new Map<string, number>();
  let young = createGeneration();
  let old = createGeneration();
  const find = (key: string) => young.find(key) ?? old.find(key);
  return {
    begin(key, fingerprint) {
      const runningAs = running.get(key);
      if (runningAs !== undefined) return runningAs === fingerprint ? IN_USE : REUSED;
      const entry = find(key);
      if (entry !== null) {
        return entry.fingerprint === fingerprint ? { kind: 'replay', answer: entry.answer() } : REUSED;
      }
      running.set(key, fingerprint);
      return FIRST;
    },
    finish(key, fingerprint, answer, applied) {
      running.delete(key);
      const effects = (find(key)?.effects ?? 0) + (applied ? 1 : 0);
      if (young.size() >= Math.max(1, keysMax / 2)) {
        old = young;
        young = createGeneration();
      }
      young.set(key, fingerprint, answer, effects);
      return effects;
    },
    clear() {
      running.clear();
      young = createGeneration();
      old = createGeneration();
    },
  };
}

function createGeneration() {
  const slots = new Map<string, number>();
  const arena = createTextArena();
  const fingerprints: number[] = [];
  const statuses: number[] = [];
  const effectCounts: number[] = [];
  const bodies: number[] = [];
  return {
    size: () => slots.size,
    find(key: string) {
      const slot = slots.get(key);
      if (slot === undefined) return null;
      return {
        fingerprint: fingerprints[slot] ?? 0,
        effects: effectCounts[slot] ?? 0,
        answer: (): StoredAnswer => ({ status: statuses[slot] ?? 0, body: arena.read(bodies[slot] ?? 0) }),
      };
    },
    set(key: string, fingerprint: number, answer: StoredAnswer, effects: number) {
      const slot = slots.get(key) ?? slots.size;
      slots.set(key, slot);
      fingerprints[slot] = fingerprint;
      statuses[slot] = answer.status;
      effectCounts[slot] = effects;
      bodies[slot] = arena.append(answer.body);
    },
  };
}
