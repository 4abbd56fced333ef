/** What scenarios ask of the stack's mock vendor: settings, a clean ledger, and the ledger's verdict. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { request } from 'undici';
import type { LedgerRow } from '../src/mock-vendor/ledger.ts';
import type { SettingsChange } from '../src/mock-vendor/settings.ts';

const CALL_MAX_MS = 60_000;

/** Forgets calls, keys and products. */
export async function clearLedger(vendorUrl: string): Promise<void> {
  await sendJson(vendorUrl, 'DELETE', '/ledger');
}

export async function configureVendor(vendorUrl: string, settings: SettingsChange): Promise<void> {
  await sendJson(vendorUrl, 'POST', '/control', JSON.stringify(settings));
}

/** In the order of completion. */
export async function* readLedger(vendorUrl: string): AsyncGenerator<LedgerRow> {
  const { body } = await request(`${vendorUrl}/ledger`, { bodyTimeout: CALL_MAX_MS });
  for await (const line of createInterface({ input: Readable.from(body) })) yield asRow(JSON.parse(line));
}

export interface Verdict {
  readonly calls: number;
  readonly keys: number;
  readonly applied: number;
  /** Keys whose effect was applied other than once. */
  readonly notOnce: number;
}

export async function judgeLedger(vendorUrl: string): Promise<Verdict> {
  const appliedByKey = new Map<string | null, number>();
  let calls = 0;
  let applied = 0;
  for await (const row of readLedger(vendorUrl)) {
    calls += 1;
    applied += row.applied ? 1 : 0;
    appliedByKey.set(row.key, (appliedByKey.get(row.key) ?? 0) + (row.applied ? 1 : 0));
  }
  let notOnce = 0;
  for (const times of appliedByKey.values()) notOnce += times === 1 ? 0 : 1;
  return { calls, keys: appliedByKey.size, applied, notOnce };
}

async function sendJson(vendorUrl: string, method: 'DELETE' | 'POST', path: string, text?: string): Promise<void> {
  const { statusCode, body } = await request(`${vendorUrl}${path}`, {
    method,
    headersTimeout: CALL_MAX_MS,
    ...(text === undefined ? {} : { body: text, headers: { 'content-type': 'application/json' } }),
  });
  const answer = await body.text();
  if (statusCode !== 200) throw new Error(`mock vendor: ${method} ${path} was answered ${statusCode}: ${answer}`);
}

/** Holds for every line of the mock vendor's ledger. */
function asRow(value: unknown): LedgerRow {
  return value as LedgerRow;
}
