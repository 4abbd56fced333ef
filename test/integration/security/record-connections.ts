/** Loaded into a process before its own code (`--import`): notes where every connection that it opens goes to. */
import { appendFileSync } from 'node:fs';
import { Socket } from 'node:net';

const path = process.env['CONNECTIONS_FILE'];
// What Node hands from one overload to the other is nobody's type.
const prototype = Socket.prototype as unknown as { connect: (...args: unknown[]) => unknown };
const connect = prototype.connect;

prototype.connect = function (this: unknown, ...args: unknown[]) {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  const given = typeof first === 'object' && first !== null ? first : { port: first, host: second };
  const host = typeof given.host === 'string' ? given.host : 'localhost';
  if (path !== undefined) appendFileSync(path, `${given.path ?? `${host}:${given.port}`}\n`);
  return Reflect.apply(connect, this, args);
};
