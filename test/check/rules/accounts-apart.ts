/** No account sees another's: no answer holds marks, names, ids or traces of what somebody else sent. */
import { toAccountId } from '../../../src/model/account.ts';
import type { Arranged } from '../arrange.ts';
import type { Exchange } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';

export const accountsApart: Rule = {
  name: 'accounts apart',
  check(arranged, witness) {
    const sent = whatWasSent(arranged);
    for (const exchange of arranged.exchanges) {
      checkOwners(exchange, witness);
      checkForeign(exchange, sent, witness);
    }
    for (const { account, owner, traceId, operationId, via } of arranged.readings) {
      witness.fact();
      if (owner !== null && owner !== toAccountId(account)) {
        witness.violation(`${account} is shown ${owner}'s operation ${operationId} (${via})`);
      }
      const sender = traceId === null ? undefined : sent.accountOfTrace.get(traceId);
      if (sender !== undefined && sender !== account) {
        witness.violation(`${account} is shown what ${sender} sent as ${operationId} (${via})`);
      }
    }
  },
};

interface WhatWasSent {
  readonly accountOfTrace: ReadonlyMap<string, string>;
  readonly accountsOfId: ReadonlyMap<string, ReadonlySet<string>>;
}

function whatWasSent({ exchanges }: Arranged): WhatWasSent {
  const accountOfTrace = new Map<string, string>();
  const accountsOfId = new Map<string, Set<string>>();
  for (const { submitted, traceId, account, operationId } of exchanges) {
    if (submitted === null) continue;
    if (traceId !== null) accountOfTrace.set(traceId, account);
    if (operationId === null) continue;
    const accounts = accountsOfId.get(operationId) ?? new Set<string>();
    accountsOfId.set(operationId, accounts.add(account));
  }
  return { accountOfTrace, accountsOfId };
}

function checkOwners({ account, owners, method, path }: Exchange, witness: Witness): void {
  witness.fact();
  const others = owners.filter((owner) => owner !== account && owner !== toAccountId(account));
  if (others.length > 0) {
    witness.violation(`the answer to ${account}'s ${method} ${path} holds what is of ${others.join(' and ')}`);
  }
}

/** What another account has is not there, whatever is asked of it. */
function checkForeign(exchange: Exchange, { accountsOfId }: WhatWasSent, witness: Witness): void {
  const { account, operationId, submitted, status, method, path } = exchange;
  const accounts = operationId === null ? undefined : accountsOfId.get(operationId);
  if (submitted !== null || accounts === undefined || accounts.has(account)) return;
  witness.fact();
  const tellsNothing = status === null || status === 404 || status === 429 || status >= 500;
  if (!tellsNothing) witness.violation(`${account} is answered ${status} to ${method} ${path}, which is not its own`);
}
