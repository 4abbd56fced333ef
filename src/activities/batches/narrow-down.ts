/** Finds the rows that a database refuses: halves a batch within its transaction until they stand alone, and fails them alone. */
import { isDataFault, type Sql, sqlStateOf } from '../../model/database.ts';
import type { Applied } from '../../model/outcome.ts';
import type { TargetItem } from '../../targets/target.ts';
import type { NotCalled } from '../../vendors/vendor.ts';
import type { BatchCall } from './batch-call.ts';

export interface NarrowDownRequest {
  readonly items: readonly TargetItem<unknown>[];
  /** A transaction in which nothing was done yet. */
  readonly sql: Sql;
  readonly batch: BatchCall;
  readonly mayGoOn: () => boolean;
}

/** The answers in the order of the items; null where it was not to go on. Rejects with what is no row's fault. */
export async function narrowDown(request: NarrowDownRequest): Promise<readonly (Applied | NotCalled)[] | null> {
  const { items, sql, batch, mayGoOn } = request;
  const answers: (Applied | NotCalled)[] = [];
  // What is checked at the commit would be found too late to be told from its neighbours.
  await sql.query('SET CONSTRAINTS ALL IMMEDIATE');
  // As a stack: the part on top comes first in the order of the items.
  const parts = [items];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (!mayGoOn()) return null;
    await sql.query('SAVEPOINT tranche_part');
    try {
      answers.push(...(await batch.apply(part, sql)));
      await sql.query('RELEASE SAVEPOINT tranche_part');
    } catch (error) {
      if (!isDataFault(error)) throw error;
      await sql.query('ROLLBACK TO SAVEPOINT tranche_part');
      await sql.query('RELEASE SAVEPOINT tranche_part');
      const middle = part.length >> 1;
      if (middle === 0) answers.push(rejected(error));
      else parts.push(part.slice(middle), part.slice(0, middle));
    }
  }
  return answers;
}

/** Names what refused the row. What the server says beside that may quote rows of others: it is left out. */
function rejected(error: unknown): Applied {
  const named = ['constraint', 'column'].flatMap((member) => {
    const name = error instanceof Error ? Reflect.get(error, member) : undefined;
    return typeof name === 'string' && name !== '' ? [`${member} ${name}`] : [];
  });
  const reason = [`SQLSTATE ${sqlStateOf(error)}`, ...named].join(', ');
  const message = `the database refused this item (${reason}); correct it and retry it`;
  return { kind: 'failed', error: { code: 'database_rejected', message, retryable: true } };
}
