/** A form whose file comes first and is large: streamed in constant memory, and gone without trace where a field behind it is wrong. */
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobsBeyond, blobsOf, nothingBeyond } from '../../fixtures/stack/blobs.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { tell } from '../../fixtures/stack/faults.ts';
import { type Fields, FORM_TYPE, streamedForm } from '../../fixtures/stack/form.ts';
import { growthWhile } from '../../fixtures/stack/memory.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const MIB = 1024 * 1024;
const FILE_MIB = Number(process.env['LARGE_FORM_MIB'] ?? 300);
const GROWTH_MAX_MIB = 150;
const BLOCK_ROWS = 5_000;
const ACCEPT_MAX_MS = 900_000;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

/** Rows of about 100 bytes, until the file is as large as wanted. */
function csv(bytes: number) {
  const made = { rows: 0 };
  async function* blocks() {
    yield Buffer.from('email,name,company,city\r\n');
    for (let sent = 0; sent < bytes; ) {
      let block = '';
      for (let n = 0; n < BLOCK_ROWS; n++) {
        const number = made.rows++;
        block += `person${number}@mail${number % 97}.example.com,Person Number ${number},"Company, ${number % 1_000} Ltd",Some City ${number % 500}\r\n`;
      }
      sent += block.length;
      yield Buffer.from(block);
    }
  }
  return { made, blocks: blocks() };
}

async function send(file: AsyncIterable<Buffer>, fieldsAfter: Fields) {
  const answer = await request(`${stack.url}/bulk-actions`, {
    method: 'POST',
    headers: { 'content-type': FORM_TYPE },
    body: streamedForm(file, fieldsAfter),
    headersTimeout: ACCEPT_MAX_MS,
    bodyTimeout: ACCEPT_MAX_MS,
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as { readonly actionId: string } };
}

const ACTION: Fields = [['actionType', 'BULK_UPDATE']];

describe(`a form with its file of ${FILE_MIB} MiB first`, () => {
  it(
    'is accepted in constant memory, every row counted',
    async () => {
      const { made, blocks } = csv(FILE_MIB * MIB);
      const startedAt = performance.now();
      const upload = () => send(blocks, [...ACTION, ['entityType', 'noop']]);
      const { result, growthMiB } = await growthWhile(stack, upload);
      const tookMs = performance.now() - startedAt;
      expect(result).toMatchObject({ status: 202, body: { status: 'QUEUED' } });
      const { actionId } = result.body;
      const details = (await stack.client.send('GET', `/bulk-actions/${actionId}`)).body;
      expect(details).toMatchObject({ totalCount: made.rows });
      tell(
        `${FILE_MIB} MiB, ${made.rows} rows: accepted after ${tookMs.toFixed(0)} ms, grew by ${growthMiB.toFixed(0)} MiB`,
      );
      expect(growthMiB).toBeLessThan(GROWTH_MAX_MIB);
      await stack.client.send('POST', `/v1/operations/${actionId}/cancel`);
      expect(await stack.client.ended(actionId)).toMatchObject({ counts: { total: made.rows } });
    },
    2 * ACCEPT_MAX_MS,
  );

  it(
    'keeps nothing where a field behind it is missing or wrong',
    async () => {
      const before = await blobsOf(stack.dataDir);
      for (const fieldsAfter of [ACTION, [...ACTION, ['entityType', 'Invoice']] as const]) {
        const { blocks } = csv((FILE_MIB * MIB) / 4);
        const sending = send(blocks, fieldsAfter);
        await eventually('chunks', async () => (await blobsBeyond(stack.dataDir, before)).length > 1);
        expect(await sending).toMatchObject({ status: 422, body: { code: 'unknown_target' } });
        await eventually('nothing kept', () => nothingBeyond(stack.dataDir, before));
      }
    },
    2 * ACCEPT_MAX_MS,
  );
});
