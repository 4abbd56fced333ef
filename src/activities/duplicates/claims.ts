/** Who was first to claim a key: one flat table outside the heap, sized once, however long the keys are. */
import { hash, randomBytes } from 'node:crypto';

export interface Claims {
  /** Claims `key` for the item; where somebody holds it already, the holder's index. Null: it is this item's now. */
  claim(key: string, index: number): number | null;
  /** Gives the memory back: nothing may be claimed after it. */
  end(): void;
}

export interface ClaimsRequest {
  /** At most so many different keys are claimed; more are an error. */
  readonly keysMax: number;
  /** Only keys of this share of all are taken; of others `claim` says null and forgets them. */
  readonly part?: { readonly number: number; readonly of: number };
  readonly digest?: Digest;
}

/** 12 or more characters of 8 bits each. */
export type Digest = (key: string) => string;

/** Three words of digest, one of index + 1 (0 = free): a slot never crosses a cache line. */
const SLOT_WORDS = 4;
/** Above it probing becomes slow: a table of 10 M keys takes 191 MiB. */
const LOAD_MAX = 0.8;
const SLOTS_MIN = 64;
const WORD = 2 ** 32;

/** Bytes of the table for so many keys. */
export function claimsBytes(keysMax: number): number {
  return 4 * SLOT_WORDS * slotsFor(keysMax);
}

export function createClaims({ keysMax, part = { number: 0, of: 1 }, digest = createDigest() }: ClaimsRequest): Claims {
  const slots = slotsFor(keysMax);
  const words = new Uint32Array(SLOT_WORDS * slots);
  let free = slots - 1;

  return {
    claim(key, index) {
      const hashed = digest(key);
      const a = wordAt(hashed, 0);
      const b = wordAt(hashed, 4);
      const c = wordAt(hashed, 8);
      if (part.of > 1 && Math.floor((c * part.of) / WORD) !== part.number) return null;
      let at = SLOT_WORDS * Math.floor((a * slots) / WORD);
      for (;;) {
        const holder = words[at + 3] ?? 0;
        if (holder === 0) break;
        if (words[at] === a && words[at + 1] === b && words[at + 2] === c) return holder - 1;
        at += SLOT_WORDS;
        if (at === words.length) at = 0;
      }
      if (free-- === 0) throw new Error(`more than ${keysMax} keys are claimed`);
      words[at] = a;
      words[at + 1] = b;
      words[at + 2] = c;
      words[at + 3] = index + 1;
      return null;
    },
    end: () => void words.buffer.transfer(0),
  };
}

/**
 * SHA-256 under a key that nobody else ever learns, of which the table keeps 96 bits: among 10 M different keys two are
 * alike with a probability of 6e-16, and nobody can make up two that are.
 */
export function createDigest(): Digest {
  const secret = randomBytes(16).toString('hex');
  // UTF-8 has no half surrogate pairs: such a key is written out, under another sign.
  return (key) =>
    hash('sha256', key.isWellFormed() ? `${secret}.${key}` : `${secret}!${JSON.stringify(key)}`, 'binary');
}

function slotsFor(keysMax: number): number {
  return Math.max(SLOTS_MIN, Math.ceil(keysMax / LOAD_MAX));
}

function wordAt(hashed: string, at: number): number {
  const low = hashed.charCodeAt(at) | (hashed.charCodeAt(at + 1) << 8) | (hashed.charCodeAt(at + 2) << 16);
  return (low | (hashed.charCodeAt(at + 3) << 24)) >>> 0;
}
