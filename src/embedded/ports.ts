/** Ports of the embedded stack: is one free, which one is, and the database's as a URL. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the ranges that systems give to outgoing connections, so that a port stays ours over a restart. */
const FIRST = 17_000;
const LAST = 27_000;
const TRIES_MAX = 100;

export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** What a client on this machine connects to the embedded database with: no password, as its port is bound to it alone. */
export function embeddedDatabaseUrl(port: number): string {
  return `postgres://postgres@127.0.0.1:${port}/postgres`;
}

/** `preferred` where it is free. */
export async function findFreePort(host: string, preferred: number | null = null): Promise<number> {
  if (preferred !== null && (await isPortFree(host, preferred))) return preferred;
  for (let attempt = 0; attempt < TRIES_MAX; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (await isPortFree(host, port)) return port;
  }
  throw new Error(`no free port found on ${host} in ${TRIES_MAX} tries`);
}
