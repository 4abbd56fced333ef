/** `npm run seed`: a handful of operations for the running service to show, submitted over HTTP as its users would. */
import { parseArgs } from 'node:util';
import { environment, readConfig } from '../src/config.ts';
import { generate, type Order } from './generator/blocks.ts';

const USAGE = `usage: npm run seed -- [--url URL] [--token TOKEN]
  --url     of the running service (http://127.0.0.1:PORT)
  --token   bearer token or API key, where it asks for one`;
const CALL_MAX_MS = 60_000;
const REASON_CHARS_MAX = 300;
/** Far enough ahead that it still waits whenever it is looked at. */
const SCHEDULED_AT = '2035-01-01T00:00:00Z';

interface Demo {
  /** The idempotency key: seeding twice makes nothing twice. */
  readonly key: string;
  readonly path: string;
  readonly type?: string;
  readonly body: string | FormData;
}

const DEMOS: readonly Demo[] = [
  {
    key: 'seed-products-first-steps',
    path: '/v1/operations?target=products',
    type: 'application/json',
    body: JSON.stringify([
      { type: 'create', product: { name: 'Chair', price: 49.9 } },
      { type: 'update', id: 123, product: { price: 12 } },
      { type: 'delete', id: 456 },
      { type: 'rename', id: 7 },
    ]),
  },
  {
    key: 'seed-products-500',
    path: '/v1/operations?target=products',
    type: 'text/csv',
    body: textOf({ subject: 'products', rows: 500, dirtyShare: 0.05, seed: 1, format: 'csv' }),
  },
  {
    key: 'seed-product-bulk',
    path: '/product/bulk',
    type: 'application/json',
    body: JSON.stringify({ operations: [{ type: 'update', id: 123, product: { price: 12 } }] }),
  },
  { key: 'seed-contacts-2000', path: '/bulk-actions', body: contactsForm(2_000, {}) },
  {
    key: 'seed-contacts-json',
    path: '/v1/operations?target=contacts',
    type: 'application/x-ndjson',
    body: textOf({ subject: 'contacts', rows: 200, dirtyShare: 0, seed: 2, format: 'ndjson' }),
  },
  { key: 'seed-contacts-scheduled', path: '/bulk-actions', body: contactsForm(50, { scheduledAt: SCHEDULED_AT }) },
];

try {
  const { url, token } = read(process.argv.slice(2));
  let refused = 0;
  for (const demo of DEMOS) refused += (await submit(demo, url, token)) ? 0 : 1;
  if (refused > 0) throw new Error(`${refused} of ${DEMOS.length} were refused: see above`);
  process.stdout.write(`look at them: ${url}/v1/operations\n`);
} catch (error) {
  process.stderr.write(`seed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

/** False where the service refused; throws where there is none. */
async function submit({ key, path, type, body }: Demo, url: string, token: string | undefined): Promise<boolean> {
  const headers = {
    'Idempotency-Key': key,
    ...(type === undefined ? {} : { 'Content-Type': type }),
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
  const signal = AbortSignal.timeout(CALL_MAX_MS);
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
    throw new Error(`nothing answers at ${url}. Start the service (npm start) or name another one by --url`, { cause });
  });
  const text = await answer.text();
  if (answer.status === 202) {
    const replayed = answer.headers.get('Idempotent-Replayed') === 'true' ? ' (was there already)' : '';
    process.stdout.write(`${key}: ${answer.headers.get('Location') ?? path}${replayed}\n`);
    return true;
  }
  process.stderr.write(`${key}: POST ${path} was answered ${answer.status}: ${reasonIn(text)}\n`);
  return false;
}

function reasonIn(text: string): string {
  try {
    const { detail, error, title } = JSON.parse(text);
    return String(detail ?? error ?? title ?? text).slice(0, REASON_CHARS_MAX);
  } catch {
    return text.slice(0, REASON_CHARS_MAX);
  }
}

function textOf(order: Order): string {
  return Buffer.concat([...generate(order).blocks]).toString();
}

function contactsForm(rows: number, fields: Readonly<Record<string, string>>): FormData {
  const form = new FormData();
  const all = { actionType: 'BULK_UPDATE', entityType: 'Contact', ...fields };
  for (const [name, value] of Object.entries(all)) form.set(name, value);
  const csv = textOf({ subject: 'contacts', rows, dirtyShare: 0.1, seed: rows, format: 'csv' });
  form.set('file', new Blob([csv], { type: 'text/csv' }), 'contacts.csv');
  return form;
}

function read(args: string[]): { readonly url: string; readonly token: string | undefined } {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({ args, options: { url: text, token: text } });
    const url = values.url ?? `http://127.0.0.1:${readConfig(environment()).server.port}`;
    if (!/^https?:$/.test(new URL(url).protocol)) throw new Error(`${url} is no HTTP address`);
    return { url: url.replace(/\/+$/, ''), token: values.token };
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}
