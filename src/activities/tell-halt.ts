/** Writes into an operation's audit trail that the service itself has halted it. */
import { createHash } from 'node:crypto';
import { encodeTime } from 'ulid';
import type { TellHaltInput } from '../model/activity-contract.ts';
import type { AuditEntry } from '../model/audit.ts';
import { createAuditStore } from '../storage/audit.ts';
import type { ActivityDeps } from './deps.ts';

/** Who an entry of the service's own is by. */
const SERVICE = 'tranche';
const TIME_CHARS = 10;
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export function createTellHalt({ store }: Pick<ActivityDeps, 'store'>) {
  return async function tellHalt({ ref, run, halt }: TellHaltInput): Promise<void> {
    const { at, ...detail } = halt;
    const entry: AuditEntry = {
      ...{ at, action: 'halted', by: SERVICE, traceId: ref.traceId },
      detail: { run, ...detail },
    };
    // Written over by itself where the worker died behind it.
    await createAuditStore(store).replace(ref.account, ref.id, nameOf(ref.uid, run, at), entry);
  };
}

/** A ULID like the names of other entries, and always the same for the same halt. */
function nameOf(uid: string, run: number, at: string): string {
  const digest = createHash('sha256').update(`${uid}/${run}/${at}`).digest().subarray(0, 16);
  const rest = [...digest].map((byte) => CROCKFORD[byte & 31]).join('');
  return encodeTime(Date.parse(at), TIME_CHARS) + rest;
}
