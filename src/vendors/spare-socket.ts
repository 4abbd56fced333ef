/** Makes a vendor's connection before a call needs it: a call slot does not stand for as long as a far vendor takes to connect. */
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';

export interface SpareSocket {
  /** What an undici Client connects by: takes the spare one where there is one. */
  readonly connect: buildConnector.connector;
  isReady(): boolean;
  /** Makes one, unless there is one or it is being made. `then` hears once of it, in a later turn: null = it stands ready. */
  make(then?: (error: Error | null) => void): void;
  close(): void;
}

/** One that was not needed for so long may be dead without our knowing: a call on it would be in doubt. */
const SPARE_MS = 30_000;

/** `onLost`: it could not be made and nobody waits to hear so, or was closed before a call needed it. */
export function createSpareSocket(base: URL, connectTimeoutMs: number, onLost: () => void): SpareSocket {
  const connector = buildConnector({ timeout: connectTimeoutMs, allowH2: false });
  const { host, hostname, protocol, port } = base;
  let spare: Socket | null = null;
  let aging: NodeJS.Timeout | undefined;
  let making = false;
  let closed = false;
  /** The client asked for it while it was being made. */
  let awaited: buildConnector.Callback | null = null;
  let listeners: ((error: Error | null) => void)[] = [];

  const made: buildConnector.Callback = (...[error, socket]) => {
    making = false;
    const [callback, told] = [awaited, listeners];
    [awaited, listeners] = [null, []];
    if (callback !== null) {
      if (error === null) callback(null, socket);
      else callback(error, null);
    } else if (error === null) keep(socket);
    else if (told.length === 0) onLost();
    for (const tell of told) tell(error);
  };

  const isReady = () => spare !== null && !spare.destroyed;

  function keep(socket: Socket): void {
    socket.on('error', ignore);
    if (closed) {
      socket.destroy();
      return;
    }
    spare = socket;
    aging = setTimeout(() => socket.destroy(), SPARE_MS).unref();
    socket.once('close', lose);
  }

  function lose(): void {
    clearTimeout(aging);
    spare = null;
    if (!closed) onLost();
  }

  return {
    connect(options, callback) {
      if (making) awaited = callback;
      else if (spare === null || spare.destroyed) connector(options, callback);
      else {
        const socket = spare;
        spare = null;
        clearTimeout(aging);
        socket.off('close', lose);
        socket.off('error', ignore);
        // Undici does not expect an answer in the same turn.
        queueMicrotask(() => callback(null, socket));
      }
    },
    isReady,
    make(then) {
      if (closed) {
        if (then !== undefined) queueMicrotask(() => then(new Error('the connection was closed')));
        return;
      }
      if (then !== undefined) listeners.push(then);
      if (making || isReady()) return;
      making = true;
      connector({ host, hostname: hostname.replace(/^\[|\]$/g, ''), protocol, port }, made);
    },
    close() {
      closed = true;
      spare?.destroy();
    },
  };
}

function ignore(): void {}
