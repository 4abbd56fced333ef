/** Takes an asynchronous vendor's answer: checks its token, keeps it, and tells the operation that something has come. */
import { isUtf8 } from 'node:buffer';
import type { Client } from '@temporalio/client';
import { type CallbackRef, readCallbackToken } from '../../model/callback-token.ts';
import { reach } from '../../model/crash-point.ts';
import { TrancheError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import { SIGNALS } from '../../model/workflow-contract.ts';
import { callbackKey } from '../../storage/keys.ts';
import { unavailable, within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { Operations } from '../operations.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import { workflowIdOf } from '../submit/operation-id.ts';
import { type Arrivals, createArrivals } from './arrivals.ts';
import { createAwaitedOperations } from './awaited-operations.ts';

export interface CallbacksDeps {
  readonly storage: OperationsStorage;
  readonly client: Client;
  readonly link: TemporalLink;
  /** Null: this service signs no callback URLs, so every token is forged. */
  readonly secret: string | null;
  readonly settings: { readonly callDeadlineMs: number; readonly storeDeadlineMs: number };
  readonly log: Log;
}

export interface Callbacks {
  readonly take: Operations['takeCallback'];
  /** No more signals. */
  stop(): void;
}

export function createCallbacks(deps: CallbacksDeps): Callbacks {
  const { storage, secret, settings } = deps;
  const awaited = createAwaitedOperations(storage.records);
  const arrivals = signalArrivals(deps);

  /** An operation that has ended keeps it too: should the item be retried, its answer is there. */
  async function keep(item: CallbackRef, body: Buffer): Promise<'taken' | 'ignored'> {
    const operation = await awaited.find(item);
    if (operation === null) return 'ignored';
    if (!(await storage.store.create(callbackKey(item.uid, item.keyRun, item.index), body))) return 'ignored';
    reach('callback.stored');
    const ordinal = await operation.chunkOf(item.index);
    if (ordinal !== null) arrivals.add(item.account, item.id, ordinal);
    return 'taken';
  }

  return {
    async take(vendor, token, body) {
      const item = secret === null ? null : readCallbackToken(secret, vendor, token);
      if (item === null) throw new TrancheError('not_found', 'There is nothing here.');
      requireJson(body);
      try {
        return await within(settings.storeDeadlineMs, 'the callback', keep(item, body));
      } catch (cause) {
        throw unavailable('the callback cannot be kept now; send it again', cause);
      }
    },
    stop: arrivals.stop,
  };
}

/** What cannot be read is refused and its token stays good: the vendor may send it again, better. */
function requireJson(body: Buffer): void {
  try {
    if (!isUtf8(body)) throw new Error('not UTF-8');
    JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new TrancheError('malformed_body', 'The body is not valid JSON.', {}, { cause });
  }
}

/** A signal that fails is no error: slices look by themselves, too. */
function signalArrivals({ client, link, settings, log }: CallbacksDeps): Arrivals {
  return createArrivals(async (account, id, ordinals) => {
    if (link.isDown()) return;
    const handle = client.workflow.getHandle(workflowIdOf(account, id));
    try {
      await link.call(settings.callDeadlineMs, () => handle.signal(SIGNALS.arrived, { ordinals }));
    } catch (cause) {
      log('debug', 'nobody heard of a callback', { account, id, cause });
    }
  });
}
