/** A mock vendor in a process of its own that a scenario may take down and bring back on the same port. */
import { createServer, type Server } from 'node:net';
import { findFreePort } from '../src/embedded/ports.ts';
import { type Started, startMain } from '../test/fixtures/stack/processes.ts';

export interface VendorProcess {
  readonly url: string;
  /** SIGKILL. From then on connections are reset; the returned function says how many were tried, by second. */
  takeDown(): Promise<() => readonly number[]>;
  /** With an empty ledger, after a kill. */
  bringBack(): Promise<void>;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';

export async function startVendorProcess(): Promise<VendorProcess> {
  const port = await findFreePort(HOST);
  const start = async (): Promise<Started> => {
    const vendor = startMain('mock-vendor', { MOCK_VENDOR_PORT: String(port) });
    await vendor.ready;
    return vendor;
  };
  let vendor: Started | null = await start();
  let refuser: Server | null = null;
  return {
    url: `http://${HOST}:${port}`,
    async takeDown() {
      await vendor?.kill();
      vendor = null;
      const tried: number[] = [];
      const downAt = performance.now();
      const server = createServer((socket) => {
        const second = Math.floor((performance.now() - downAt) / 1_000);
        tried[second] = (tried[second] ?? 0) + 1;
        socket.on('error', () => {});
        socket.resetAndDestroy();
      });
      refuser = server;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, HOST, () => resolve());
      });
      return () => Array.from(tried, (count) => count ?? 0);
    },
    async bringBack() {
      await closed(refuser);
      refuser = null;
      vendor = await start();
    },
    async close() {
      await closed(refuser);
      await vendor?.stop();
    },
  };
}

function closed(server: Server | null): Promise<void> {
  return new Promise((resolve) => (server === null ? resolve() : server.close(() => resolve())));
}
