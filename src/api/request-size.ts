/** Refuses a request whose target or header block is larger than anything we take, before anybody reads it. */
import { createMiddleware } from 'hono/factory';
import { type ApiEnv, connectionOf } from './context.ts';
import { answerOversized } from './errors.ts';
import type { ApiLimits } from './limits.ts';

/** The bytes of the whole header block are Node's to count (server.ts). */
export function refuseOversized({ urlCharsMax, headersMax }: Pick<ApiLimits, 'urlCharsMax' | 'headersMax'>) {
  return createMiddleware<ApiEnv>(async (c, next) => {
    const { incoming } = connectionOf(c);
    const target = incoming?.url ?? c.req.url;
    if (target.length > urlCharsMax) {
      return answerOversized(c, 'uri_too_long', `Path and query may have ${urlCharsMax} characters.`);
    }
    // Names and values take turns.
    const headers = incoming === undefined ? 0 : incoming.rawHeaders.length / 2;
    if (headers > headersMax) {
      return answerOversized(c, 'header_too_large', `A request may have ${headersMax} header fields.`);
    }
    return await next();
  });
}
