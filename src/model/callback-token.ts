/** The token in a callback URL: names one item of one operation, signed, so that only the vendor it was given to can answer for it. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The item that a callback speaks of. */
export interface CallbackRef {
  readonly vendor: string;
  readonly account: string;
  /** Of the operation. */
  readonly id: string;
  readonly uid: string;
  /** The run that the item's idempotency key names: a call repeated under one key carries one URL. */
  readonly keyRun: number;
  readonly index: number;
}

/** Enough for the longest account and id; longer ones are not looked at. */
const TOKEN_CHARS_MAX = 512;
const MAC_CHARS = 43;

/** The same for the same item, always: nothing in it is random or dated. Base64url with one point, safe in a path. */
export function signCallback(secret: string, ref: CallbackRef): string {
  const { account, id, uid, keyRun, index } = ref;
  const claim = Buffer.from(JSON.stringify([account, id, uid, keyRun, index])).toString('base64url');
  return `${claim}.${macOf(secret, ref.vendor, claim)}`;
}

/** Null where it was not signed for this vendor with this secret. In constant time. */
export function readCallbackToken(secret: string, vendor: string, token: string): CallbackRef | null {
  const claim = token.slice(0, -MAC_CHARS - 1);
  if (token.length > TOKEN_CHARS_MAX || claim === '' || token[claim.length] !== '.') return null;
  const given = Buffer.from(token.slice(claim.length + 1));
  const due = Buffer.from(macOf(secret, vendor, claim));
  if (given.length !== due.length || !timingSafeEqual(given, due)) return null;
  return { vendor, ...asClaim(claim) };
}

/** The vendor's name is kebab-case: the point ends it. */
function macOf(secret: string, vendor: string, claim: string): string {
  return createHmac('sha256', secret).update(`tranche.callback.${vendor}.${claim}`).digest('base64url');
}

/** Only what `signCallback` wrote comes here: the signature has been checked. */
function asClaim(claim: string): Omit<CallbackRef, 'vendor'> {
  const [account, id, uid, keyRun, index] = JSON.parse(Buffer.from(claim, 'base64url').toString('utf8')) as [
    string,
    string,
    string,
    number,
    number,
  ];
  return { account, id, uid, keyRun, index };
}
