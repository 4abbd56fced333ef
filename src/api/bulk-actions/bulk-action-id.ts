/** The id that clients of `/bulk-actions` know an operation by. */
import { toAccountId } from '../../model/account.ts';
import { TrancheError } from '../../model/errors.ts';
import type { OperationView } from '../../operations/operations.ts';
import type { ApiContext } from '../context.ts';
import { asOperationId, operationId, operationNotFound } from '../routes.ts';
import { ACCOUNT_HEADER } from '../sign-in/sign-in.ts';

/** In no operation id and in no account's: what stands before it is an account. */
const SEPARATOR = '~';
const ACCOUNT_ID = /^[a-z0-9-]{1,40}$/;

/**
 * Where nobody signs in, a form names its account and later requests name none: then the account goes with the id, so
 * that `GET /bulk-actions/{actionId}` finds what `POST /bulk-actions` answered.
 */
export function actionIdOf(c: ApiContext, view: Pick<OperationView, 'account' | 'id'>): string {
  return view.account === c.get('account') ? view.id : `${view.account}${SEPARATOR}${view.id}`;
}

/** Throws `not_found` where this caller can know no such action. */
export function readActionId(c: ApiContext): { readonly account: string; readonly id: string } {
  const named = c.req.param('id') ?? '';
  const at = named.indexOf(SEPARATOR);
  if (at === -1) return { account: accountAsked(c) ?? c.get('account'), id: operationId(c) };
  const account = named.slice(0, at);
  const mayBe = isBound(c) ? account === c.get('account') : ACCOUNT_ID.test(account);
  if (!mayBe) throw operationNotFound();
  return { account, id: asOperationId(named.slice(at + 1)) };
}

/** Whose actions a list is of; null = everybody's, where nobody signs in and nobody is named. */
export function accountListed(c: ApiContext): string | null {
  const asked = accountAsked(c);
  if (asked !== null) return asked;
  return isBound(c) ? c.get('account') : null;
}

/** What `accountId` in a form or a query stands for. Throws `forbidden` where it is not the caller's. */
export function accountNamed(c: ApiContext, accountId: string | undefined): string | null {
  const name = accountId?.trim() ?? '';
  if (name === '') return null;
  const account = toAccountId(name);
  if (isBound(c) && account !== c.get('account')) {
    throw new TrancheError('forbidden', 'accountId names another account than the one of this request.');
  }
  return account;
}

function accountAsked(c: ApiContext): string | null {
  return accountNamed(c, c.req.query('accountId'));
}

/** To one account: by signing in, or by the header, which a gateway may set so that nobody leaves their own. */
function isBound(c: ApiContext): boolean {
  return c.get('caller').subject !== null || c.req.header(ACCOUNT_HEADER) !== undefined;
}
