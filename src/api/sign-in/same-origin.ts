/** Where nobody signs in, a page of another site must neither act nor read in its visitor's browser: that is refused here. */
import { isIP } from 'node:net';
import { TrancheError } from '../../model/errors.ts';
import type { ApiContext } from '../context.ts';

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

export interface OwnNames {
  /** What clients call us; null: nothing but what is ours for certain. */
  readonly publicUrl: string | null;
  /** Bound to this machine: nobody has a reason to call us by a name that anybody could own. */
  readonly isLocal?: boolean;
}

/** Throws `forbidden`. What is no browser sends neither header of the first two and is let through. */
export function refuseCrossSite(c: ApiContext, { publicUrl, isLocal = false }: OwnNames): void {
  if (isLocal && !isOurHost(c.req.header('Host'), publicUrl)) throw foreignName();
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
  return isCertain(url.hostname) && url.host === host?.toLowerCase();
}

/** A page whose name was made to point to us reads by plain GETs, which carry no origin: only the Host tells. */
function isOurHost(host: string | undefined, publicUrl: string | null): boolean {
  if (host === undefined) return true;
  if (!URL.canParse(`http://${host}`)) return false;
  const { hostname } = new URL(`http://${host}`);
  return isCertain(hostname) || (publicUrl !== null && hostname === new URL(publicUrl).hostname);
}

function isCertain(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '');
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost');
}

function foreignName(): TrancheError {
  return new TrancheError(
    'forbidden',
    'Nobody signs in here, so this host name is not answered: use 127.0.0.1 or localhost, or name it by PUBLIC_URL.',
  );
}

function crossSite(): TrancheError {
  return new TrancheError(
    'forbidden',
    'A page of another site may not send this: turn sign-in on, or name the page by PUBLIC_URL.',
  );
}
