/** A client that controls every byte, and the server it talks to. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ApiServer, type ServerOptions, startServer } from '../../../src/api/server.ts';
import { noLog } from '../../../src/model/log.ts';
import type { Operations } from '../../../src/operations/operations.ts';
import { type FakeOperations, fakeOperations } from '../../fixtures/fake-operations.ts';

/** Closed when the test ends. */
export async function serve(
  overrides: Partial<Operations> = {},
  options: Partial<ServerOptions> = {},
): Promise<{ readonly server: ApiServer; readonly operations: FakeOperations }> {
  const operations = fakeOperations(overrides);
  const limits = { closeGraceMs: 100, ...options.limits };
  const server = await startServer({ operations, host: '127.0.0.1', port: 0, log: noLog, ...options, limits });
  onTestFinished(() => server.close());
  return { server, operations };
}

export interface RawClient {
  readonly socket: Socket;
  /** What came so far. */
  received(): string;
  /** Resolves once `text` has come; rejects where the connection ends before. */
  expect(text: string): Promise<void>;
  /** Everything, once the server has closed; an error of the connection (a reset) rejects. */
  ended(): Promise<string>;
}

export async function connectTo(server: ApiServer): Promise<RawClient> {
  const socket = connect(server.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  let received = '';
  let failure: Error | null = null;
  socket.on('data', (piece) => {
    received += piece.toString('latin1');
  });
  socket.on('error', (error) => {
    failure = error;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return {
    socket,
    received: () => received,
    async expect(text) {
      while (!received.includes(text)) {
        if (socket.destroyed) throw new Error(`connection ended before ${JSON.stringify(text)}: ${received}`);
        await Promise.race([once(socket, 'data'), closed]);
      }
    },
    async ended() {
      await closed;
      if (failure !== null) throw failure;
      return received;
    },
  };
}

export function post(path: string, headers: readonly string[]): string {
  return [`POST ${path} HTTP/1.1`, 'Host: test', 'Content-Type: application/json', ...headers, '', ''].join('\r\n');
}

/** Sends `bytes` at the pace the server takes them; false where the connection ended before. */
export async function pump(socket: Socket, bytes: number): Promise<boolean> {
  const piece = Buffer.alloc(64 * 1024, ' ');
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (socket.destroyed) return false;
    if (!socket.write(piece.subarray(0, Math.min(piece.length, bytes - sent)))) {
      const settled = new AbortController();
      const { signal } = settled;
      const either = [once(socket, 'drain', { signal }), once(socket, 'close', { signal })];
      await Promise.race(either).catch(() => {});
      settled.abort();
      await Promise.allSettled(either);
    }
  }
  return !socket.destroyed;
}
