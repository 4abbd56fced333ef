/** Where nobody signs in, a page of another site must not act in its visitor's browser: that is refused here. */
import { isIP } from 'node:net';
import { TrancheError } from '../model/errors.ts';
import type { ApiContext } from './context.ts';

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Throws `forbidden`. What is no browser sends neither header and is let through. */
export function refuseCrossSite(c: ApiContext, publicUrl: string | null): void {
  if (SAFE_METHODS.includes(c.req.method)) return;
  const site = c.req.header('Sec-Fetch-Site');
  if (site === 'cross-site' || site === 'same-site') throw crossSite();
  const origin = c.req.header('Origin');
  if (origin !== undefined && !isOurs(origin, c.req.header('Host'), publicUrl)) throw crossSite();
}

/**
 * A name of somebody else's may be made to point to us (DNS rebinding), and then equals the Host header: only
 * addresses, `localhost` and the public URL are names that are ours for certain.
 */
function isOurs(origin: string, host: string | undefined, publicUrl: string | null): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (publicUrl !== null && url.origin === new URL(publicUrl).origin) return true;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const isCertain = isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost');
  return isCertain && url.host === host?.toLowerCase();
}

function crossSite(): TrancheError {
  return new TrancheError(
    'forbidden',
    'A page of another site may not send this: turn sign-in on, or name the page by PUBLIC_URL.',
  );
}
