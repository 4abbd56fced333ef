/** The client of one history: what was not answered it asks again, under the same key, until somebody answers. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationView } from '../../../src/operations/operations.ts';
import type { Answered, RecordedClient, RetryWish, Submission } from '../../check/recorded-client.ts';
import { asOperation } from '../../fixtures/stack/client.ts';

export interface Customer {
  /** Resolves to the operation's id. */
  submit(submission: Submission): Promise<string>;
  control(verb: 'pause' | 'resume' | 'cancel', id: string): Promise<void>;
  retry(id: string, wish: RetryWish): Promise<void>;
  amend(id: string, change: Readonly<Record<string, unknown>>): Promise<void>;
  purge(id: string): Promise<void>;
  get(id: string): Promise<OperationView>;
  /** Asks until it is so. */
  until(id: string, what: string, isSo: (view: OperationView) => boolean): Promise<OperationView>;
  /** Of this run. */
  ended(id: string, run?: number): Promise<OperationView>;
  /** The status of this one request, answered at last. */
  statusOf(id: string): Promise<number>;
  download(id: string): Promise<void>;
}

/** For one thing asked, however often; and for what must come to pass. */
const PATIENCE_MS = 60_000;
const COMES_TO_PASS_MS = 120_000;
const AGAIN_MS = 50;
const LOOK_MS = 60;
/** Nobody is there, or nobody can do it now: the same again may go well. */
const AGAIN_STATUS: ReadonlySet<number | null> = new Set([null, 429, 500, 502, 503, 504]);

export function createCustomer(client: RecordedClient): Customer {
  async function insist(what: string, ask: () => Promise<Answered>): Promise<Answered> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answered = await ask();
      if (!AGAIN_STATUS.has(answered.status)) return answered;
      if (performance.now() > deadline) throw new Error(`${what} was not answered in time: ${told(answered)}`);
      await sleep(AGAIN_MS);
    }
  }

  async function demand(what: string, accepted: readonly number[], ask: () => Promise<Answered>): Promise<Answered> {
    const answered = await insist(what, ask);
    if (accepted.includes(answered.status ?? 0)) return answered;
    throw new Error(`${what} was answered ${told(answered)}`);
  }

  async function get(id: string): Promise<OperationView> {
    return asOperation((await demand('a status', [200], () => client.status(id))).body);
  }

  async function until(id: string, what: string, isSo: (view: OperationView) => boolean): Promise<OperationView> {
    const deadline = performance.now() + COMES_TO_PASS_MS;
    for (;;) {
      const view = await get(id);
      if (isSo(view)) return view;
      if (performance.now() > deadline) throw new Error(`${id} is not ${what} in time: ${JSON.stringify(view)}`);
      await sleep(LOOK_MS);
    }
  }

  return {
    get,
    until,
    ended: (id, run = 1) => until(id, `ended in run ${run}`, (view) => view.state === 'ended' && view.run === run),
    async submit(submission) {
      const { operationId } = await demand('a submission', [202], () => client.submit(submission));
      if (operationId === null) throw new Error('a submission was accepted and names no operation');
      return operationId;
    },
    async control(verb, id) {
      await demand(verb, [200, 202], () => client.control(verb, id));
    },
    async retry(id, wish) {
      await demand('a retry', [200, 202], () => client.retry(id, wish));
    },
    async amend(id, change) {
      await demand('a change', [200, 202], () => client.amend(id, change));
    },
    async purge(id) {
      await demand('a purge', [200, 204], () => client.purge(id));
    },
    async statusOf(id) {
      return (await insist('a status', () => client.status(id))).status ?? 0;
    },
    async download(id) {
      await demand('a download', [200], () => client.download(id));
    },
  };
}

function told({ status, code, body }: Answered): string {
  return `${status ?? 'nothing'} ${code ?? ''} ${JSON.stringify(body)}`;
}
