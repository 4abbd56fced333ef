/** In front of an S3 store: passes requests on as they are, but for the share that a bad day takes. */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createRandom, type Random } from '../random.ts';
import type { HttpFault, LinkFault } from './fault.ts';

const HOST = '127.0.0.1';
const KEEP_ALIVE_MS = 3_600_000;
const ERRORS = { slow_down: [503, 'SlowDown'], internal_error: [500, 'InternalError'] } as const;

/** Returns the port it serves on. Signatures cover the headers, so they go through untouched. */
export async function serveHttpFaults(targetPort: number, fault: () => LinkFault | null): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  let drawing: { readonly fault: HttpFault; readonly random: Random } | null = null;

  /** Null where this request is spared. */
  function draw(): HttpFault | null {
    const now = fault();
    if (now?.kind !== 'http') return null;
    if (drawing?.fault !== now) drawing = { fault: now, random: createRandom(now.seed) };
    return drawing.random.chance(now.share) ? now : null;
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (incoming, answer) => {
    incoming.on('error', () => {});
    answer.on('error', () => {});
    const drawn = draw();
    if (drawn?.what === 'slow_down' || drawn?.what === 'internal_error') return refuse(incoming, answer, drawn.what);
    if (drawn?.what === 'cut_before') return void incoming.socket.destroy();
    const pass = () => forward({ agent, targetPort, incoming, answer, cut: drawn?.what === 'cut_after' });
    if (drawn?.what === 'slow') setTimeout(pass, drawn.delayMs);
    else pass();
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, 4_096, resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function refuse(incoming: IncomingMessage, answer: ServerResponse, what: keyof typeof ERRORS): void {
  const [status, code] = ERRORS[what];
  incoming.resume();
  incoming.once('end', () => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>chaos</Message></Error>`);
  });
}

interface Passage {
  readonly agent: Agent;
  readonly targetPort: number;
  readonly incoming: IncomingMessage;
  readonly answer: ServerResponse;
  /** The store has done it, and the caller never hears of it. */
  readonly cut: boolean;
}

function forward({ agent, targetPort, incoming, answer, cut }: Passage): void {
  const { method = 'GET', url: path = '/', rawHeaders } = incoming;
  const headers = withoutHopByHop(rawHeaders);
  const upstream = request({ host: HOST, port: targetPort, method, path, agent, headers, setHost: false });
  upstream.on('error', () => incoming.socket.destroy());
  upstream.on('response', (response) => {
    response.on('error', () => incoming.socket.destroy());
    if (cut) {
      response.resume();
      response.once('end', () => incoming.socket.destroy());
      return;
    }
    answer.writeHead(response.statusCode ?? 502, withoutHopByHop(response.rawHeaders));
    response.pipe(answer);
  });
  answer.once('close', () => {
    if (!answer.writableEnded) upstream.destroy();
  });
  incoming.pipe(upstream);
}

/** Never part of a signature. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'expect']);

function withoutHopByHop(rawHeaders: readonly string[]): string[] {
  const headers: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, rawHeaders[at + 1] ?? '');
  }
  return headers;
}
