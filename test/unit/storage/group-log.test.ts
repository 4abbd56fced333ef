/** Group commit: nothing is lost, nothing overlaps, and a failure is told to whom it concerns. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BlobLog } from '../../../src/storage/blob-store.ts';
import { createGroupLog, readGroupLog } from '../../../src/storage/group-log.ts';

/** Appends wait until they are told how they ended. */
function fakeLog() {
  const appended: Buffer[] = [];
  const waiting: PromiseWithResolvers<void>[] = [];
  let closed = 0;
  const log: BlobLog = {
    async append(entry) {
      if (waiting.length > 0) throw new Error('appends overlap');
      const answer = Promise.withResolvers<void>();
      waiting.push(answer);
      appended.push(Buffer.from(entry));
      await answer.promise;
    },
    close: async () => {
      closed += 1;
    },
  };
  return {
    log,
    appends: () => appended.length,
    closed: () => closed,
    isWriting: () => waiting.length > 0,
    succeed: () => waiting.shift()?.resolve(),
    fail: (error: Error) => waiting.shift()?.reject(error),
    entries: async () => {
      return (await readAll(appended)).map(String);
    },
  };
}

async function readAll(groups: Buffer[]): Promise<Buffer[]> {
  const entries: Buffer[] = [];
  for await (const entry of readGroupLog({ readLog: async () => groups }, 'key')) entries.push(entry);
  return entries;
}

/** Lets everything that waits for nothing but its turn go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

describe('group log', () => {
  const unhandled = vi.fn();
  beforeEach(() => {
    process.on('unhandledRejection', unhandled);
  });
  afterEach(async () => {
    await settle();
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('writes what came together as one append, at once, and gives the single entries back', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 0);
    for (const entry of ['one', '', 'three\n{"x":1}']) journal.add(Buffer.from(entry));
    const flushed = journal.flushed();
    await settle();
    expect(fake.appends()).toBe(1);
    fake.succeed();
    await flushed;
    expect(await fake.entries()).toEqual(['one', '', 'three\n{"x":1}']);
  });

  it('gathers what comes while an append runs into the next one', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 0);
    journal.add(Buffer.from('1'));
    await settle();
    journal.add(Buffer.from('2'));
    journal.add(Buffer.from('3'));
    await settle();
    expect(fake.appends()).toBe(1);
    fake.succeed();
    await settle();
    expect(fake.appends()).toBe(2);
    fake.succeed();
    await journal.flushed();
    expect(await fake.entries()).toEqual(['1', '2', '3']);
  });

  it('is not flushed before the last entry is written', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 0);
    await journal.flushed();
    journal.add(Buffer.from('1'));
    await settle();
    journal.add(Buffer.from('2'));
    let isFlushed = false;
    const flushed = journal.flushed().then(() => {
      isFlushed = true;
    });
    fake.succeed();
    await settle();
    expect(isFlushed).toBe(false);
    fake.succeed();
    await flushed;
  });

  it('lets an interval pass between two appends, and gathers meanwhile', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 300);
    journal.add(Buffer.from('1'));
    await vi.waitFor(() => expect(fake.isWriting()).toBe(true));
    fake.succeed();
    await journal.flushed();
    journal.add(Buffer.from('2'));
    await settle();
    journal.add(Buffer.from('3'));
    expect(fake.appends()).toBe(1);
    await vi.waitFor(() => expect(fake.appends()).toBe(2));
    fake.succeed();
    await journal.flushed();
    expect(await fake.entries()).toEqual(['1', '2', '3']);
  });

  it('does not wait for the interval when it is closed', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 3_600_000);
    journal.add(Buffer.from('1'));
    await settle();
    fake.succeed();
    journal.add(Buffer.from('2'));
    await settle();
    expect(fake.appends()).toBe(1);
    const closed = journal.close();
    await vi.waitFor(() => expect(fake.appends()).toBe(2));
    expect(fake.closed()).toBe(0);
    fake.succeed();
    await closed;
    await journal.close();
    expect(fake.closed()).toBe(1);
    expect(() => journal.add(Buffer.from('3'))).toThrow('closed');
  });

  it('tells a failing append through failed, flushed and close, and writes nothing after it', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 0);
    journal.add(Buffer.from('1'));
    await settle();
    journal.add(Buffer.from('2'));
    expect(journal.failed).toBeNull();
    fake.fail(new Error('disk full'));
    await expect(journal.flushed()).rejects.toThrow('disk full');
    expect(journal.failed?.message).toBe('disk full');
    journal.add(Buffer.from('3'));
    await expect(journal.close()).rejects.toThrow('disk full');
    expect(fake.closed()).toBe(1);
    expect(fake.appends()).toBe(1);
  });

  it('stays quiet when nobody waits for an append that fails', async () => {
    const fake = fakeLog();
    const journal = createGroupLog(fake.log, 0);
    journal.add(Buffer.from('1'));
    await settle();
    fake.fail(new Error('disk full'));
    await settle();
    expect(journal.failed?.message).toBe('disk full');
  });

  it('refuses a log that no group log wrote', async () => {
    await expect(readAll([Buffer.from([1, 0])])).rejects.toThrow('not a journal');
    await expect(readAll([Buffer.from([9, 0, 0, 0, 1])])).rejects.toThrow('not a journal');
    expect(await readAll([Buffer.alloc(0)])).toEqual([]);
  });
});
