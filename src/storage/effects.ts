/**
 * The ledger of batches whose effect is in the same database: which slot of a chunk was applied, and with what outcome.
 * Its row and the effect are one transaction, so a slot is applied once, whoever tries and however often.
 */
import { reach } from '../model/crash-point.ts';
import type { Database, Migration, Sql } from '../model/database.ts';
import type { ChunkLogRef } from './segments.ts';

export const EFFECTS_MIGRATION: Migration = {
  id: 'effects-1',
  sql: `
CREATE TABLE tranche_effects (
  uid text NOT NULL,
  run integer NOT NULL,
  chunk integer NOT NULL,
  slot integer NOT NULL,
  outcomes text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (uid, run, chunk, slot)
);
-- Two statements, two snapshots: what the holder before us has committed is seen.
CREATE FUNCTION tranche_take_slot(of_uid text, of_run integer, of_chunk integer, of_slot integer)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', of_uid, of_run, of_chunk, of_slot), 7274));
  RETURN (SELECT outcomes FROM tranche_effects
    WHERE uid = of_uid AND run = of_run AND chunk = of_chunk AND slot = of_slot);
END $$;`,
};

/** Positions of one chunk that are applied together or not at all. */
export interface SlotRef extends ChunkLogRef {
  readonly slot: number;
}

/** What became of the item at a position of the chunk. Must be JSON. */
export interface Placed<T> {
  readonly position: number;
  readonly decision: T;
}

export interface SlotWork<T> {
  /** Applies the slot's items through `sql`. Null: what it did is rolled back, and nothing is recorded. */
  readonly work: (sql: Sql) => Promise<readonly Placed<T>[] | null>;
  /** Asked right before the commit; false: rolled back. */
  readonly mayCommit: () => boolean;
}

/** Of one kind of decision; each chunk's slots belong to one target, so they read back as they were written. */
export interface Effects<T> {
  /**
   * Applies a slot in a transaction, or adopts what stands of it. Who comes second waits. Null: nothing was committed
   * by us (see `SlotWork`), or the slot was claimed. Rejects with what the work or the database threw; where that is the
   * answer to the commit, the slot may stand all the same: asking again tells.
   */
  once(ref: SlotRef, work: SlotWork<T>): Promise<readonly Placed<T>[] | null>;
  /** All that stands of a chunk, by slot. */
  standing(ref: ChunkLogRef): Promise<ReadonlyMap<number, readonly Placed<T>[]>>;
  /** Slots of a chunk that were claimed before anybody had applied them. */
  claimed(ref: ChunkLogRef): Promise<readonly number[]>;
  /** From now on nobody can apply these slots any more. Resolves to what stands of the chunk. */
  claim(ref: ChunkLogRef, slots: readonly number[]): Promise<ReadonlyMap<number, readonly Placed<T>[]>>;
}

const KEY = 'uid = $1 AND run = $2 AND chunk = $3';
/** Claimed: nothing was applied, and nothing will be. */
const NOTHING = '';

export function createEffects<T>(database: Database): Effects<T> {
  async function standing(ref: ChunkLogRef): Promise<Map<number, readonly Placed<T>[]>> {
    const text = `SELECT slot, outcomes FROM tranche_effects WHERE ${KEY}`;
    const { rows } = await database.query<LedgerRow>(text, keyOf(ref));
    const applied = rows.filter(({ outcomes }) => outcomes !== NOTHING);
    return new Map(applied.map(({ slot, outcomes }) => [slot, decode<T>(outcomes)]));
  }

  async function adopt(ref: SlotRef): Promise<readonly Placed<T>[] | null> {
    return (await standing(ref)).get(ref.slot) ?? null;
  }

  return {
    async once(ref, work) {
      try {
        const placed = await database.transaction((sql) => applySlot(sql, ref, work));
        reach('batch.database_committed');
        return placed;
      } catch (error) {
        if (error === TAKEN) return adopt(ref);
        if (error === ROLLED_BACK) return null;
        throw error;
      }
    },
    standing,
    async claimed(ref) {
      const text = `SELECT slot, outcomes FROM tranche_effects WHERE ${KEY} AND outcomes = '${NOTHING}'`;
      const { rows } = await database.query<LedgerRow>(text, keyOf(ref));
      return rows.map(({ slot }) => slot);
    },
    async claim(ref, slots) {
      const text = `INSERT INTO tranche_effects (uid, run, chunk, slot, outcomes)
        SELECT $1, $2, $3, slot, '${NOTHING}' FROM unnest($4::integer[]) AS slot ON CONFLICT DO NOTHING`;
      await database.query(text, [...keyOf(ref), slots]);
      return await standing(ref);
    },
  };
}

interface LedgerRow {
  readonly slot: number;
  readonly outcomes: string;
}

/** They only end a transaction: nobody else ever sees them. */
const TAKEN = new Error('another transaction has recorded this slot');
const ROLLED_BACK = new Error('the slot is not to be committed');

/** The row comes last, with its outcomes: the lock keeps others out until then, and the key those who do not ask for it. */
async function applySlot<T>(sql: Sql, ref: SlotRef, { work, mayCommit }: SlotWork<T>) {
  const key = [...keyOf(ref), ref.slot];
  const taken = await sql.query<{ standing: string | null }>(
    'SELECT tranche_take_slot($1, $2, $3, $4) AS standing',
    key,
  );
  const standing = taken.rows[0]?.standing ?? null;
  if (standing !== null) return standing === NOTHING ? null : decode<T>(standing);
  const placed = await work(sql);
  if (placed === null) throw ROLLED_BACK;
  const text = `INSERT INTO tranche_effects (uid, run, chunk, slot, outcomes) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING`;
  const { rowCount } = await sql.query(text, [...key, encode(placed)]);
  if (rowCount === 0) throw TAKEN;
  if (!mayCommit()) throw ROLLED_BACK;
  reach('batch.before_database_commit');
  return placed;
}

function keyOf({ uid, run, ordinal }: ChunkLogRef): readonly unknown[] {
  return [uid, run, ordinal];
}

/** `kinds`: the decisions that occur. `runs`: first position, count and kind, again and again. */
interface Encoded<T> {
  readonly kinds: readonly T[];
  readonly runs: readonly number[];
}

/** Most items of a slot went alike: a few bytes then stand for hundreds of outcomes. */
export function encode<T>(placed: readonly Placed<T>[]): string {
  const kindOf = createKinds<T>();
  const runs: number[] = [];
  let next = -1;
  let last = -1;
  for (const { position, decision } of placed) {
    const kind = kindOf.number(decision);
    if (position === next && kind === last) runs[runs.length - 2] = (runs[runs.length - 2] ?? 0) + 1;
    else runs.push(position, 1, kind);
    next = position + 1;
    last = kind;
  }
  return `{"kinds":[${kindOf.all().join(',')}],"runs":[${runs.join(',')}]}`;
}

/** Numbers decisions by their JSON; one and the same object is rendered once. */
function createKinds<T>() {
  const byDecision = new Map<T, number>();
  const byJson = new Map<string, number>();
  return {
    number(decision: T): number {
      const known = byDecision.get(decision);
      if (known !== undefined) return known;
      const json = JSON.stringify(decision);
      const kind = byJson.get(json) ?? byJson.size;
      byJson.set(json, kind);
      byDecision.set(decision, kind);
      return kind;
    },
    all: (): readonly string[] => [...byJson.keys()],
  };
}

/** Only `encode` writes what is read here, so it has the written shape. */
export function decode<T>(text: string): readonly Placed<T>[] {
  const { kinds, runs } = JSON.parse(text) as Encoded<T>;
  const placed: Placed<T>[] = [];
  for (let i = 0; i < runs.length; i += 3) {
    const [first = 0, count = 0, kind = 0] = runs.slice(i, i + 3);
    const decision = kinds[kind];
    if (decision === undefined) throw new Error('a ledger row is damaged');
    for (let position = first; position < first + count; position++) placed.push({ position, decision });
  }
  return placed;
}

/** A run whose slots have not been touched for a while. */
export interface StaleRun {
  readonly uid: string;
  readonly run: number;
}

export type EffectsSweep = ReturnType<typeof createEffectsSweep>;

export function createEffectsSweep(sql: Sql) {
  return {
    /** At most `max` runs whose newest slot is older than `ageMs`, any of them. */
    async stale(ageMs: number, max: number): Promise<readonly StaleRun[]> {
      const text = `SELECT uid, run FROM tranche_effects GROUP BY uid, run
        HAVING max(created_at) < now() - $1 * interval '1 millisecond' ORDER BY random() LIMIT $2`;
      return (await sql.query<StaleRun>(text, [ageMs, max])).rows;
    },
    /** Deletes at most `max` rows of the run, passing by those that somebody else deletes; resolves to how many. */
    async forget({ uid, run }: StaleRun, max: number): Promise<number> {
      const text = `DELETE FROM tranche_effects WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM tranche_effects WHERE uid = $1 AND run = $2 LIMIT $3 FOR UPDATE SKIP LOCKED))`;
      return (await sql.query(text, [uid, run, max])).rowCount;
    },
  };
}
