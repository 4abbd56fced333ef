/** One call of a target's `applyBatch`: what it may use, and whose fault it is where it throws. */
import type { Sql } from '../../model/database.ts';
import type { Applied } from '../../model/outcome.ts';
import type { TargetItem } from '../../targets/target.ts';
import type { NotCalled } from '../../vendors/vendor.ts';
import { type AttemptDeps, type CallBounds, createCaller } from '../attempt.ts';

export interface BatchCall {
  /** As many answers as items. Rejects with what a statement threw, or with a `TargetBug`. */
  apply(items: readonly TargetItem<unknown>[], sql: Sql): Promise<readonly (Applied | NotCalled)[]>;
  /** True where a target's statement threw it. */
  isOfTarget(error: unknown): boolean;
}

/** The target threw something of its own, or miscounted. */
export class TargetBug extends Error {
  readonly code = 'target_bug';
}

export function isTargetBug(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'target_bug';
}

export function createBatchCall(deps: AttemptDeps, bounds: CallBounds): BatchCall {
  const { input, target, control } = deps;
  const vendor = createCaller(deps, bounds);
  const thrown = new WeakSet<Error>();

  /** Remembers what statements throw: a target lets that through, or it has a bug. */
  function watch(sql: Sql): Sql {
    return {
      query: (text, values) =>
        sql.query<never>(text, values).catch((error: unknown) => {
          if (error instanceof Error) thrown.add(error);
          throw error;
        }),
    };
  }

  async function callSafely<T>(call: () => Promise<T>, name: string): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      if (cause instanceof Error && thrown.has(cause)) throw cause;
      throw new TargetBug(`target ${name} threw`, { cause });
    }
  }

  return {
    async apply(items, sql) {
      const { applyBatch } = target;
      if (applyBatch === undefined) throw new TargetBug(`target ${target.name} cannot be applied in batches`);
      const context = { operation: input.ref, signal: control.signal, vendor, sql: watch(sql) };
      const answers = await callSafely(async () => applyBatch(items, context), target.name);
      if (answers.length === items.length) return answers;
      throw new TargetBug(`target ${target.name} gave ${answers.length} answers for ${items.length} items`);
    },
    isOfTarget: (error) => error instanceof Error && thrown.has(error),
  };
}
