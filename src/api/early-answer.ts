/** Answers a request whose body is still arriving so that the client can read the answer, as nginx's lingering close does. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createMiddleware } from 'hono/factory';
import { type ApiEnv, connectionOf } from './context.ts';
import type { ApiLimits } from './limits.ts';

type LingerLimits = Pick<ApiLimits, 'lingerBytesMax' | 'lingerMsMax' | 'lingerIdleMs'>;

/**
 * To close a socket that holds unread bytes resets it, and a reset can overtake the answer. So the whole answer
 * goes out first, then what still comes is read and dropped (bounded), and only then the connection ends.
 */
export function answerEarly(limits: LingerLimits) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    await next();
    const { incoming, outgoing } = connectionOf(c);
    if (incoming === undefined || outgoing === undefined || outgoing.headersSent || outgoing.destroyed) return;
    // Nobody reads it any more; unread bytes would keep the next request of this connection from being parsed.
    incoming.resume();
    // A small body is usually here by now, only not parsed: one turn, and the connection can be kept.
    if (!incoming.complete) await setImmediate();
    if (incoming.complete || outgoing.destroyed) return;
    const body = Buffer.from(await c.res.arrayBuffer());
    outgoing.writeHead(c.res.status, {
      ...Object.fromEntries(c.res.headers),
      'content-length': body.length,
      connection: 'close',
    });
    outgoing.flushHeaders();
    outgoing.write(body);
    await drain(incoming, outgoing, limits);
    outgoing.end();
    c.res = RESPONSE_ALREADY_SENT;
  });
}

function drain(incoming: IncomingMessage, outgoing: ServerResponse, limits: LingerLimits): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const stop = () => {
      clearTimeout(total);
      clearTimeout(idle);
      incoming.off('data', onData).off('end', stop).off('close', stop);
      outgoing.off('close', stop);
      resolve();
    };
    const total = setTimeout(stop, limits.lingerMsMax);
    const idle = setTimeout(stop, limits.lingerIdleMs);
    const onData = (piece: Buffer) => {
      bytes += piece.length;
      idle.refresh();
      if (bytes > limits.lingerBytesMax) stop();
    };
    incoming
      .on('error', () => {})
      .on('data', onData)
      .on('end', stop)
      .on('close', stop);
    outgoing.on('close', stop);
    if (incoming.destroyed || incoming.readableEnded) stop();
    else incoming.resume();
  });
}
