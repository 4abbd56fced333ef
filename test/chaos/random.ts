/** The one source of chance in a campaign: the same seed gives the same schedule, whatever happens meanwhile. */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole number, both ends included. */
  whole(from: number, to: number): number;
  between(from: number, to: number): number;
  /** True with this probability. */
  chance(share: number): boolean;
  pick<Value>(values: readonly Value[]): Value;
  /** By weight. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name;
  /** A sequence of its own: how often one part draws changes nothing for the others. */
  fork(name: string): Random;
}

export function createRandom(seed: number): Random {
  const next = mulberry32(seed);
  const random: Random = {
    next,
    whole: (from, to) => from + Math.floor(next() * (to - from + 1)),
    between: (from, to) => from + next() * (to - from),
    chance: (share) => next() < share,
    pick(values) {
      const value = values[Math.floor(next() * values.length)];
      if (value === undefined) throw new Error('nothing to pick from');
      return value;
    },
    weighted(weights) {
      const entries = namesAndWeights(weights);
      let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [name, weight] of entries) {
        left -= weight;
        if (left < 0) return name;
      }
      throw new Error('nothing to choose from');
    },
    fork: (name) => createRandom(hash(`${seed}/${name}`)),
  };
  return random;
}

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/** Holds because the record has exactly these names. */
function namesAndWeights<Name extends string>(weights: Readonly<Record<Name, number>>): readonly [Name, number][] {
  return Object.entries(weights) as [Name, number][];
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
