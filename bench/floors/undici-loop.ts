/** Floor of `vendor`: a bare undici loop with the same method, headers, bodies and number of calls in flight. */
import { Pool } from 'undici';
import { productCall } from '../items.ts';

const { vendorUrl, calls, warmupCalls, inFlight, keyPrefix, way } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly vendorUrl: string;
  readonly calls: number;
  readonly warmupCalls: number;
  readonly inFlight: number;
  /** As long as an operation's uid; a fresh one for each loop, so that no call is a replay. */
  readonly keyPrefix: string;
  /** `request`: as undici is used; `dispatch`: its lowest level, no stream per answer. */
  readonly way: 'request' | 'dispatch';
};

/** As long as the one that each of Tranche's calls carries. */
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const pool = new Pool(vendorUrl, { connections: inFlight, pipelining: 1 });
const call = way === 'request' ? callByRequest : callByDispatch;
await loop(warmupCalls, `${keyPrefix}w`);
const startedAt = performance.now();
await loop(calls, keyPrefix);
const ms = performance.now() - startedAt;
await pool.close();
process.stdout.write(JSON.stringify({ calls, ms, callsPerSecond: (calls / ms) * 1_000 }));

async function loop(count: number, prefix: string): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      const status = await call(index, `${prefix}:${index}`);
      if (status !== 200) throw new Error(`call ${index} was answered ${status}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

function optionsOf(index: number, key: string) {
  const { path, product } = productCall(index);
  const headers = ['content-type', 'application/json', 'idempotency-key', key, 'traceparent', TRACEPARENT];
  return { method: 'PATCH', path, headers, body: JSON.stringify(product) } as const;
}

async function callByRequest(index: number, key: string): Promise<number> {
  const { statusCode, body } = await pool.request(optionsOf(index, key));
  await body.text();
  return statusCode;
}

function callByDispatch(index: number, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let status = 0;
    const parts: Buffer[] = [];
    pool.dispatch(optionsOf(index, key), {
      onRequestStart() {},
      onResponseStart(_controller, statusCode) {
        status = statusCode;
      },
      onResponseData(_controller, part) {
        parts.push(part);
      },
      onResponseEnd() {
        Buffer.concat(parts).toString('utf8');
        resolve(status);
      },
      onResponseError: (_controller, error) => reject(error),
    });
  });
}
