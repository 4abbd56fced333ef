/**
 * Lets many connections share the one session of the embedded database, one batch after the other; whoever opens a
 * transaction keeps the session until its end. What a connection sets outside of one (SET, LISTEN, temporary tables,
 * session locks) all others see: keep it inside.
 */
import { createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../model/log.ts';
import {
  createCutter,
  fatal,
  greeting,
  NO_ENCRYPTION,
  type Received,
  simpleQuery,
  statusAfter,
  WireError,
} from './wire.ts';

export interface WireServerDeps {
  readonly port: number;
  readonly serverVersion: string;
  /** The session: one batch at a time; resolves with everything it answers. */
  readonly execute: (batch: Buffer) => Promise<Buffer>;
  readonly log: Log;
}

export interface WireServer {
  readonly port: number;
  /** Runs `work` between two transactions; whoever comes meanwhile waits. */
  alone(work: () => Promise<void>): Promise<void>;
  /** Rejects where the session broke: the process has to start again. */
  readonly failed: Promise<never>;
  /** Rolls back what is open. */
  close(): Promise<void>;
}

interface Connection {
  readonly socket: Socket;
  readonly batches: Buffer[];
  /** Milliseconds that it may sit in a transaction without asking for anything. */
  idleMaxMs: number;
  timer: NodeJS.Timeout | null;
  gone: boolean;
}

const HOST = '127.0.0.1';
const CONNECTIONS_MAX = 200;
const IDLE_IN_TRANSACTION_MS = 30_000;
const HANG_UP_MS = 500;
const ROLLBACK = simpleQuery('ROLLBACK');

export async function startWireServer(deps: WireServerDeps): Promise<WireServer> {
  const connections = new Set<Connection>();
  const session = createSession(deps.execute, (connection) =>
    dismiss(connection, new WireError('25P03', 'the transaction was idle for too long')),
  );
  let lastId = 0;

  function accept(socket: Socket): void {
    const connection: Connection = {
      ...{ socket, batches: [], idleMaxMs: IDLE_IN_TRANSACTION_MS, timer: null, gone: false },
    };
    socket.setNoDelay(true);
    connections.add(connection);
    const cutter = createCutter();
    socket.on('data', (bytes) => {
      try {
        for (const received of cutter.push(bytes)) take(connection, received);
      } catch (error) {
        dismiss(connection, error instanceof WireError ? error : new WireError('XX000', String(error)));
      }
    });
    socket.on('error', (error) => deps.log('debug', 'a connection broke', { error }));
    socket.on('close', () => {
      connections.delete(connection);
      session.leave(connection);
    });
    if (connections.size > CONNECTIONS_MAX) dismiss(connection, new WireError('53300', 'too many connections'));
  }

  function take(connection: Connection, received: Received): void {
    if (connection.gone) return;
    const { socket } = connection;
    if (received.kind === 'batch') session.ask(connection, received.bytes);
    else if (received.kind === 'goodbye') socket.end();
    else if (received.kind === 'encryption') socket.write(NO_ENCRYPTION);
    else welcome(connection, received.parameters);
  }

  function welcome(connection: Connection, parameters: ReadonlyMap<string, string>): void {
    const limit = Number(parameters.get('idle_in_transaction_session_timeout'));
    if (Number.isInteger(limit) && limit > 0) connection.idleMaxMs = limit;
    lastId += 1;
    connection.socket.write(greeting(deps.serverVersion, lastId));
  }

  /** Says why, and hangs up, also on who does not listen. */
  function dismiss(connection: Connection, reason: WireError): void {
    if (connection.gone) return;
    session.leave(connection);
    connection.socket.end(fatal(reason));
    setTimeout(() => connection.socket.destroy(), HANG_UP_MS).unref();
  }

  const server = createServer(accept);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: HOST, port: deps.port, exclusive: true }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : deps.port,
    alone: session.alone,
    failed: session.failed,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of connections) dismiss(connection, new WireError('57P01', 'the database is stopping'));
      await closed;
      await session.alone(async () => {});
    },
  };
}

/** Whose turn it is. */
function createSession(execute: WireServerDeps['execute'], onIdle: (connection: Connection) => void) {
  const waiting: (Connection | (() => Promise<void>))[] = [];
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {});
  let owner: Connection | null = null;
  let turning = false;

  async function turn(): Promise<void> {
    if (turning) return;
    turning = true;
    try {
      while (await serveNext()) await nextTurn();
    } catch (error) {
      broken.reject(error);
      return;
    }
    turning = false;
  }

  /** False where nobody can be served now. */
  async function serveNext(): Promise<boolean> {
    if (owner?.gone) {
      await execute(ROLLBACK);
      owner = null;
      return true;
    }
    const next = owner === null ? waiting.shift() : owner.batches.length > 0 ? owner : undefined;
    if (next === undefined) return false;
    if (typeof next === 'function') await next();
    else await serve(next);
    return true;
  }

  async function serve(connection: Connection): Promise<void> {
    const batch = connection.batches.shift();
    if (batch === undefined) return;
    const answer = await execute(batch);
    owner = statusAfter(answer) === 'open' ? connection : null;
    connection.socket.write(answer);
    if (connection.batches.length > 0) queue(connection);
    else if (owner === connection) connection.timer = setTimeout(() => onIdle(connection), connection.idleMaxMs);
  }

  function queue(connection: Connection): void {
    if (owner !== connection && !waiting.includes(connection)) waiting.push(connection);
  }

  return {
    failed: broken.promise,
    ask(connection: Connection, batch: Buffer): void {
      if (connection.timer !== null) clearTimeout(connection.timer);
      connection.timer = null;
      connection.batches.push(batch);
      queue(connection);
      void turn();
    },
    leave(connection: Connection): void {
      connection.gone = true;
      connection.batches.length = 0;
      if (connection.timer !== null) clearTimeout(connection.timer);
      const at = waiting.indexOf(connection);
      if (at >= 0) waiting.splice(at, 1);
      void turn();
    },
    alone(work: () => Promise<void>): Promise<void> {
      const done = Promise.race([
        new Promise<void>((resolve, reject) => waiting.push(() => work().then(resolve, reject))),
        broken.promise,
      ]);
      void turn();
      return done;
    },
  };
}
