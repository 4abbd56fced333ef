/** One link: a local port whose connections go on to a process, with whatever fault is set on the way. */
import { createServer, connect as dial, type Socket } from 'node:net';
import type { LinkFault } from './fault.ts';
import { affects, createPipe, type Pipe } from './pipe.ts';

export interface Link {
  readonly port: number;
  /** Also as `fault()` for a server behind the link that is to take its part (http). */
  setFault(fault: LinkFault | null): void;
  fault(): LinkFault | null;
  close(): Promise<void>;
}

interface Connection {
  readonly sockets: readonly [Socket, Socket];
  readonly pipes: readonly Pipe[];
  /** One side is gone, and the other was not told. */
  orphaned: boolean;
}

const HOST = '127.0.0.1';

/** Each connection goes to one of the targets at random: where there are several, they are equals. */
export async function openLink(targets: readonly number[]): Promise<Link> {
  const connections = new Set<Connection>();
  let fault: LinkFault | null = null;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on('error', () => {});
    if (fault?.kind === 'reset' || fault?.kind === 'refuse') return void client.resetAndDestroy();
    const port = targets[Math.floor(Math.random() * targets.length)] ?? 0;
    const upstream = dial({ host: HOST, port, allowHalfOpen: true, noDelay: true });
    upstream.on('error', () => {});
    const now = () => fault;
    const pipes = [
      createPipe({ from: client, to: upstream, way: 'up', fault: now }),
      createPipe({ from: upstream, to: client, way: 'down', fault: now }),
    ];
    const connection: Connection = { sockets: [client, upstream], pipes, orphaned: false };
    connections.add(connection);
    client.once('close', () => left(connection, 'up'));
    upstream.once('close', () => left(connection, 'down'));
  });

  /** Over a link that carries nothing now, nobody learns that the other has gone. */
  function left(connection: Connection, way: 'up' | 'down'): void {
    if (affects(fault, 'hold', way) || affects(fault, 'hole', way)) connection.orphaned = true;
    else hangUp(connection);
  }

  function hangUp(connection: Connection): void {
    connections.delete(connection);
    for (const socket of connection.sockets) socket.destroy();
  }

  function reset(connection: Connection): void {
    connections.delete(connection);
    for (const socket of connection.sockets) socket.resetAndDestroy();
  }

  await new Promise<void>((resolve) => server.listen(0, HOST, 4_096, resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    fault: () => fault,
    setFault(next) {
      fault = next;
      for (const connection of [...connections]) {
        const torn = connection.orphaned || connection.pipes.some((pipe) => pipe.isTorn());
        if (next?.kind === 'reset' || (torn && next?.kind !== 'hole' && next?.kind !== 'hold')) reset(connection);
        else for (const pipe of connection.pipes) pipe.changed();
      }
    },
    async close() {
      for (const connection of [...connections]) hangUp(connection);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
