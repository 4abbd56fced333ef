/** What `npm run seed` sends, and what it says where it cannot. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
const seed = (...args: string[]) => run(process.execPath, ['scripts/seed.ts', ...args], { cwd: root });

interface Seen {
  readonly key: string;
  readonly path: string;
  readonly type: string;
  readonly token: string | undefined;
  readonly body: string;
}

let stop: () => Promise<void> = async () => {};
afterEach(() => stop());

/** A service that answers all requests alike. */
async function serve(answer: (response: ServerResponse) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const parts: Buffer[] = [];
    request.on('data', (bytes) => parts.push(bytes));
    request.on('end', () => {
      const { headers, url: path = '' } = request;
      const key = String(headers['idempotency-key']);
      const body = Buffer.concat(parts).toString();
      seen.push({ key, path, type: String(headers['content-type']), token: headers.authorization, body });
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

describe('npm run seed', () => {
  it('submits products and contacts on every surface, each under a key of its own', async () => {
    const { url, seen } = await serve((response) =>
      response.writeHead(202, { Location: '/v1/operations/x' }).end('{}'),
    );
    const { stdout } = await seed('--url', `${url}/`, '--token', 'secret');
    expect(new Set(seen.map(({ key }) => key)).size).toBe(seen.length);
    expect(new Set(seen.map(({ path }) => path))).toEqual(
      new Set(['/v1/operations?target=products', '/v1/operations?target=contacts', '/product/bulk', '/bulk-actions']),
    );
    expect(seen.every(({ token }) => token === 'Bearer secret')).toBe(true);
    const form = seen.find(({ path }) => path === '/bulk-actions');
    expect(form?.type).toMatch(/^multipart\/form-data; boundary=/);
    expect(form?.body).toContain('email,name,phone,company,status,age,city');
    expect(stdout).toContain('seed-contacts-2000: /v1/operations/x');
    expect(stdout).not.toContain('was there already');
  });

  it('says what was there already', async () => {
    const headers = { Location: '/v1/operations/x', 'Idempotent-Replayed': 'true' };
    const { url } = await serve((response) => response.writeHead(202, headers).end('{}'));
    expect((await seed('--url', url)).stdout).toContain('(was there already)');
  });

  it('says why the service refuses, for each one, and fails', async () => {
    const problem = JSON.stringify({ title: 'Unauthorized', detail: 'a token is required' });
    const { url, seen } = await serve((response) => response.writeHead(401).end(problem));
    await expect(seed('--url', url)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/answered 401: a token is required[\s\S]*were refused/),
    });
    expect(seen.length).toBeGreaterThan(3);
  });

  it('says so where no service runs', async () => {
    const { url } = await serve(() => undefined);
    await stop();
    stop = async () => {};
    await expect(seed('--url', url)).rejects.toMatchObject({
      code: 1,
      stderr: `seed: nothing answers at ${url}. Start the service (npm start) or name another one by --url\n`,
    });
  });

  it.each([[['--url', 'nowhere']], [['--url', 'ftp://x']], [['--uri', 'http://x']], [['stray']]])(
    'refuses %j with its usage',
    async (args) => {
      await expect(seed(...args)).rejects.toMatchObject({ stderr: expect.stringContaining('usage: npm run seed') });
    },
  );
});
