import { expect, test } from 'vitest';
import { narrowDown } from '../../../src/activities/batches/narrow-down.ts';
import type { Sql } from '../../../src/model/database.ts';
import type { Applied } from '../../../src/model/outcome.ts';
import type { TargetItem } from '../../../src/targets/target.ts';

const DONE: Applied = { kind: 'succeeded' };
const items = (count: number): TargetItem<unknown>[] =>
  Array.from({ length: count }, (_, index) => ({ index, item: index, exact: index, idempotencyKey: `UID:${index}` }));

function refuse(state: string): Error {
  const facts = { code: state, constraint: 'age_max', column: 'age', detail: 'Key (email)=(other@example.com) exists' };
  return Object.assign(new Error('duplicate key of other@example.com'), facts);
}

/** Refuses every batch that holds one of `poisoned`. */
function setUp(poisoned: readonly number[], state = '23514') {
  const statements: string[] = [];
  const sizes: number[] = [];
  const sql: Sql = {
    async query(text) {
      statements.push(text);
      return { rows: [], rowCount: 0 };
    },
  };
  const batch = {
    async apply(part: readonly TargetItem<unknown>[]) {
      sizes.push(part.length);
      if (part.some(({ index }) => poisoned.includes(index))) throw refuse(state);
      return part.map(() => DONE);
    },
    isOfTarget: () => true,
  };
  return { sql, batch, statements, sizes };
}

test('answers come in the order of the items, the refused ones in their places', async () => {
  const { sql, batch, sizes } = setUp([0, 6, 7, 12]);
  const answers = await narrowDown({ items: items(13), sql, batch, mayGoOn: () => true });
  expect(answers?.map(({ kind }) => kind === 'failed')).toEqual(
    Array.from({ length: 13 }, (_, index) => [0, 6, 7, 12].includes(index)),
  );
  expect(sizes[0]).toBe(13);
});

test('one poisoned row of 500 costs about two calls a halving', async () => {
  const { sql, batch, sizes } = setUp([333]);
  await narrowDown({ items: items(500), sql, batch, mayGoOn: () => true });
  expect(sizes.length).toBeLessThanOrEqual(2 * 9 + 1);
});

test('every savepoint is given back', async () => {
  const { sql, batch, statements } = setUp([1, 2, 3]);
  await narrowDown({ items: items(8), sql, batch, mayGoOn: () => true });
  const count = (text: string) => statements.filter((statement) => statement === text).length;
  expect(count('SAVEPOINT tranche_part')).toBe(count('RELEASE SAVEPOINT tranche_part'));
});

test('the message names what refused the row, and nothing of other rows', async () => {
  const { sql, batch } = setUp([0]);
  const answers = await narrowDown({ items: items(1), sql, batch, mayGoOn: () => true });
  const [answer] = answers ?? [];
  const message = answer?.kind === 'failed' ? answer.error.message : '';
  expect(message).toContain('SQLSTATE 23514, constraint age_max, column age');
  expect(message).not.toContain('other@example.com');
});

test('what is no row of the batch to blame for goes through', async () => {
  const { sql, batch } = setUp([0], '40P01');
  await expect(narrowDown({ items: items(4), sql, batch, mayGoOn: () => true })).rejects.toMatchObject({
    code: '40P01',
  });
});

test('a slice that is stopping goes no further', async () => {
  const { sql, batch, sizes } = setUp([0]);
  expect(await narrowDown({ items: items(100), sql, batch, mayGoOn: () => sizes.length < 3 })).toBeNull();
  expect(sizes).toHaveLength(3);
});
