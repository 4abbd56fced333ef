/** The contacts target on every database: what a batch does to the table, and what it says of each item. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, isDataFault, type Sql } from '../../../src/model/database.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { contacts } from '../../../src/targets/contacts.ts';
import { parseExact } from '../../../src/targets/exact-json.ts';
import { faultOf, open } from './database.suite.ts';

export function describeContacts(url: () => string): void {
  describe('contacts', () => {
    let database: Database;
    beforeAll(async () => {
      database = open(url());
      await migrate(database, contacts.migrations ?? []);
    });
    afterAll(() => database.close());

    const apply = (account: string, items: readonly object[] | string, id = 'op-1', sql: Sql = database) => {
      const texts = typeof items === 'string' ? [items] : items.map((item) => JSON.stringify(item));
      const batch = texts.map((text, index) => {
        const { value, exact } = parseExact(text);
        return { index, item: contacts.item.parse(value), exact, idempotencyKey: `u:${index}` };
      });
      const context = {
        sql,
        vendor: () => Promise.reject(new Error('no vendor is called')),
        signal: new AbortController().signal,
        operation: { account, id, uid: 'u' },
      };
      return contacts.applyBatch?.(batch, context) ?? [];
    };
    const rowsOf = async (account: string) =>
      (await database.query('SELECT * FROM contacts WHERE account = $1 ORDER BY email', [account])).rows;
    const fresh = (): string => `a-${randomUUID()}`;
    const created = { kind: 'succeeded', result: { action: 'created' } };
    const updated = { kind: 'succeeded', result: { action: 'updated' } };

    it('are created with all their fields, and say which operation did it', async () => {
      const account = fresh();
      const item = { email: ' Ann@Example.COM', name: 'Ann', phone: '+1', company: 'X', status: 'ACTIVE', age: '42' };
      expect(await apply(account, [{ ...item, city: 'Köln 😀', 'odd "key"': [1, { a: null }] }])).toEqual([created]);
      expect(await rowsOf(account)).toEqual([
        {
          ...{ account, email: 'ann@example.com', name: 'Ann', phone: '+1', company: 'X', status: 'active', age: 42 },
          attributes: { city: 'Köln 😀', 'odd "key"': [1, { a: null }] },
          ...{ created_at: expect.any(Date), updated_at: expect.any(Date), updated_by_operation: 'op-1' },
        },
      ]);
    });

    it('are changed only where an item names a field; attributes are merged', async () => {
      const account = fresh();
      await apply(account, [{ email: 'a@b.co', name: 'A', age: 1, status: 'lead', x: 1, y: { deep: 1 } }]);
      const [before] = await rowsOf(account);
      const change = { email: 'A@b.co', age: 0, name: null, status: '  ', y: 'new', z: null };
      expect(await apply(account, [change], 'op-2')).toEqual([updated]);
      const [after] = await rowsOf(account);
      expect(after).toEqual({
        ...before,
        ...{ age: 0, attributes: { x: 1, y: 'new', z: null }, updated_by_operation: 'op-2' },
        updated_at: after?.['updated_at'],
      });
      expect(Number(after?.['updated_at'])).toBeGreaterThan(Number(before?.['updated_at']));
    });

    it('of two accounts never meet', async () => {
      const [one, other] = [fresh(), fresh()];
      await apply(one, [{ email: 'a@b.co', name: 'One' }]);
      expect(await apply(other, [{ email: 'a@b.co', name: 'Other' }])).toEqual([created]);
      expect((await rowsOf(one)).map(({ name }) => name)).toEqual(['One']);
    });

    it('of one address in one batch: the first is applied, later ones are skipped as its duplicates', async () => {
      const account = fresh();
      const items = [{ email: 'a@b.co', name: 'First' }, { email: 'c@d.co' }, { email: 'A@B.CO', name: 'Second' }];
      expect(await apply(account, items)).toEqual([
        created,
        created,
        { kind: 'skipped', reason: 'duplicate', duplicateOf: 0 },
      ]);
      expect((await rowsOf(account)).map(({ name }) => name)).toEqual(['First', null]);
    });

    it('are answered one by one and in their order, five hundred in a batch', async () => {
      const account = fresh();
      const item = (n: number) => ({ email: `u${(n * 7_919) % 1_000}@example.com`, name: `N${n}` });
      const half = Array.from({ length: 250 }, (_, n) => item(n * 2));
      expect(await apply(account, half)).toEqual(half.map(() => created));
      const all = Array.from({ length: 500 }, (_, n) => item(n));
      expect(await apply(account, all)).toEqual(all.map((_, n) => (n % 2 === 0 ? updated : created)));
      const rows = await rowsOf(account);
      expect(rows.map(({ email, name }) => ({ email, name }))).toEqual(
        all.toSorted((a, b) => (a.email < b.email ? -1 : 1)),
      );
    });

    it('keep numbers of attributes digit for digit', async () => {
      const account = fresh();
      await apply(account, '{"email":"a@b.co","big":12345678901234567890,"price":1.10}');
      const { rows } = await database.query('SELECT attributes::text AS text FROM contacts WHERE account = $1', [
        account,
      ]);
      expect(rows).toEqual([{ text: '{"big": 12345678901234567890, "price": 1.10}' }]);
    });

    it('that grow beyond bounds by many operations fail as data', async () => {
      const account = fresh();
      const block = (n: number) => ({ email: 'a@b.co', [`k${n}`]: 'x'.repeat(15_000) });
      for (const n of [1, 2, 3, 4]) await apply(account, [block(n)]);
      expect(isDataFault(await faultOf(Promise.resolve(apply(account, [block(5)]))))).toBe(true);
      const [row] = await rowsOf(account);
      expect(Object.keys(Object(row?.['attributes']))).toEqual(['k1', 'k2', 'k3', 'k4']);
    });

    it('never deadlock where operations touch the same rows in other orders', async () => {
      const account = fresh();
      const items = Array.from({ length: 200 }, (_, n) => ({ email: `u${n}@example.com` }));
      const rounds = Array.from({ length: 24 }, (_, n) => (n % 2 === 0 ? items : items.toReversed()));
      await Promise.all(
        rounds.map((round, n) => database.transaction(async (sql) => apply(account, round, `op-${n}`, sql))),
      );
      expect(await rowsOf(account)).toHaveLength(200);
    });

    it('of a batch that fails are as they were', async () => {
      const account = fresh();
      const failing = database.transaction(async (sql) => {
        await apply(account, [{ email: 'a@b.co' }], 'op-1', sql);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(await rowsOf(account)).toEqual([]);
    });
  });
}
