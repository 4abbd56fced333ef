/** Migrations, on every database. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Log } from '../../../src/model/log.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { faultOf, open } from './database.suite.ts';

const fresh = (): string => `m${randomUUID().replaceAll('-', '')}`;

export function describeMigrations(url: () => string): void {
  describe('migrations', () => {
    /** Fails where it is applied twice. */
    const steps = (name: string) => [
      { id: `${name}-1`, sql: `CREATE TABLE ${name} (n int); INSERT INTO ${name} VALUES (1);` },
      { id: `${name}-2`, sql: `ALTER TABLE ${name} ADD COLUMN m int; UPDATE ${name} SET n = n + 1` },
    ];

    it('are applied once and in order by eight pools at once, and not again', async () => {
      const name = fresh();
      const pools = Array.from({ length: 8 }, () => open(url()));
      const applied = await Promise.all(pools.map((pool) => migrate(pool, steps(name))));
      expect(applied.flat().toSorted()).toEqual([`${name}-1`, `${name}-2`]);
      const [first] = pools;
      expect((await first?.query(`SELECT n, m FROM ${name}`))?.rows).toEqual([{ n: 2, m: null }]);
      expect(first && (await migrate(first, steps(name)))).toEqual([]);
      await Promise.all(pools.map((pool) => pool.close()));
    });

    it('go on where an earlier release stopped', async () => {
      const [name, database] = [fresh(), open(url())];
      const [one, two] = steps(name);
      if (one === undefined || two === undefined) throw new Error('two steps');
      expect(await migrate(database, [one])).toEqual([one.id]);
      expect(await migrate(database, [one, two])).toEqual([two.id]);
      await database.close();
    });

    it('are refused where one that was applied has another text, and nothing after it is applied', async () => {
      const [name, database] = [fresh(), open(url())];
      const [one, two] = steps(name);
      if (one === undefined || two === undefined) throw new Error('two steps');
      await migrate(database, [one]);
      const changed = { id: one.id, sql: `${one.sql} SELECT 1` };
      await expect(migrate(database, [changed, two])).rejects.toMatchObject({
        name: 'MigrationError',
        message: expect.stringContaining(one.id),
      });
      expect((await database.query(`SELECT * FROM ${name}`)).rows).toEqual([{ n: 1 }]);
      await database.close();
    });

    it('of a later release are told, and left alone', async () => {
      const [name, database] = [fresh(), open(url())];
      await migrate(database, steps(name));
      const told: unknown[] = [];
      const log: Log = (level, _message, facts) => told.push([level, facts?.['unknown']]);
      expect(await migrate(database, [], log)).toEqual([]);
      expect(told).toEqual([['warn', expect.arrayContaining([`${name}-1`, `${name}-2`])]]);
      await database.close();
    });

    it('that fail leave nothing of themselves, and those before them stand', async () => {
      const [name, database] = [fresh(), open(url())];
      const [one] = steps(name);
      if (one === undefined) throw new Error('a step');
      const broken = { id: `${name}-2`, sql: `INSERT INTO ${name} VALUES (5); SELECT 1/0` };
      expect(await faultOf(migrate(database, [one, broken]))).toMatchObject({ code: '22012' });
      expect((await database.query(`SELECT n FROM ${name}`)).rows).toEqual([{ n: 1 }]);
      expect(await migrate(database, [one, { id: broken.id, sql: 'SELECT 1' }])).toEqual([broken.id]);
      await database.close();
    });

    it('with one name for two are refused', async () => {
      const database = open(url());
      const step = { id: fresh(), sql: 'SELECT 1' };
      await expect(migrate(database, [step, step])).rejects.toThrow('two migrations');
      await database.close();
    });
  });
}
