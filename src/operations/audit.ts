/** Who did what to an operation: written down before it is done, so that nothing takes effect unrecorded. */
import { monotonicFactory } from 'ulid';
import type { AuditAction, AuditEntry } from '../model/audit.ts';
import { reach } from '../model/crash-point.ts';
import { isTrancheError, TrancheError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { OperationState } from '../model/operation.ts';
import { createAuditStore, type NamedEntry } from '../storage/audit.ts';
import { orUnavailable, unavailable, within } from './deadline.ts';
import type { OperationsStorage } from './deps.ts';
import type { Actor } from './operations.ts';
import { retriedEntry, submittedEntry } from './purge/entomb.ts';
import { goneError } from './purge/gone.ts';
import type { Status } from './status/status.ts';
import { canonicalJson } from './submit/fingerprint.ts';
import { mayNameOperation } from './submit/operation-id.ts';

export interface AuditDeps {
  readonly storage: OperationsStorage;
  readonly status: Status;
  readonly storeDeadlineMs: number;
  readonly log: Log;
}

export interface Act {
  readonly action: AuditAction;
  readonly account: string;
  readonly id: string;
  readonly actor: Actor;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface Audit {
  /**
   * Throws what the verb throws, and `unavailable` with nothing done where the entry cannot be written; only to stop an
   * operation is always possible: then the log has to do.
   */
  recorded<Answer>(act: Act, verb: () => Promise<Answer>): Promise<Answer>;
  /** Writes the log's line alone: for what a record of its own accounts for. */
  tell(act: Act): void;
  /** Oldest first. Throws `gone` with the trail in its facts where the operation was purged. */
  read(account: string, id: string): Promise<readonly AuditEntry[]>;
}

/** The states in which an action changes nothing: to ask again and again must not fill the trail. */
const NOTHING_TO_DO: Readonly<Partial<Record<AuditAction, readonly OperationState[]>>> = {
  paused: ['pausing', 'paused', 'ended'],
  resumed: ['running', 'ended'],
  cancelled: ['cancelling', 'ended'],
  amended: ['ended'],
};

/** A full disk must not keep anybody from stopping what goes wrong. */
const STOPS: readonly AuditAction[] = ['paused', 'cancelled'];

/** To look for an entry that says the same already; a trail that is longer gets another one. */
const LOOK_MS = 1_000;

/**
 * The entry comes first because the other order loses it where the process dies in between; until the verb has
 * answered it says that nobody knows whether it took effect. A refusal takes it back.
 */
export function createAudit({ storage, status, storeDeadlineMs, log }: AuditDeps): Audit {
  const trail = createAuditStore(storage.store);
  // Rises within a millisecond, too: the names are the order.
  const newName = monotonicFactory();

  async function begin({ action, account, id }: Act, name: string, entry: AuditEntry): Promise<void> {
    const unconfirmed = { ...entry, detail: { ...entry.detail, unconfirmed: true } };
    try {
      await within(storeDeadlineMs, 'the audit entry', trail.create(account, id, name, unconfirmed));
      reach('control.noted');
    } catch (cause) {
      if (STOPS.includes(action)) {
        log('warn', 'an audit entry could not be written before its deed', { account, operationId: id, action, cause });
        return;
      }
      throw unavailable('this cannot be written to the audit trail now, so it was not done; ask again', cause);
    }
  }

  /** What was done is done: an entry that cannot be corrected goes on saying that nobody knows. */
  async function correct({ account, id }: Act, work: Promise<void>): Promise<void> {
    await within(storeDeadlineMs, 'the audit entry', work).catch((cause: unknown) => {
      log('warn', 'an audit entry stays unconfirmed', { account, operationId: id, cause });
    });
  }

  /** The newest entry, where it says this very thing of this run: to say it a million times must not fill the trail. */
  async function findSame(act: Act): Promise<NamedEntry | null> {
    const { account, id } = act;
    const looking = Promise.all([trail.newest(account, id), beganAt(account, id)]);
    const found = await within(LOOK_MS, 'the audit trail', looking).catch(() => null);
    if (found === null) return null;
    const [newest, began] = found;
    return newest !== null && newest.entry.at >= began && isSame(newest.entry, act) ? newest : null;
  }

  /** Of its latest run; '' = it has only the first. */
  async function beganAt(account: string, id: string): Promise<string> {
    const { run } = await status.get(account, id);
    return run === 1 ? '' : ((await storage.records.readRun(account, id, run))?.createdAt ?? '');
  }

  /** It stands for this deed, too, unless somebody did another one meanwhile: then there is an entry more. */
  async function repeat<Answer>(act: Act, same: NamedEntry, verb: () => Promise<Answer>): Promise<Answer> {
    const { account, id } = act;
    const answer = await verb();
    tell(act);
    if ((await findSame(act))?.name !== same.name) {
      await correct(act, trail.create(account, id, newName(), entryOf(act)));
    } else if (same.entry.detail['unconfirmed'] === true) {
      const { unconfirmed: _, ...detail } = same.entry.detail;
      await correct(act, trail.replace(account, id, same.name, { ...same.entry, detail }));
    }
    return answer;
  }

  /** Asked of the workflow itself where that matters: what a cache says may have changed. */
  async function hasNothingToDo({ action, account, id }: Act): Promise<boolean> {
    const settled = NOTHING_TO_DO[action] ?? [];
    if (!settled.includes((await status.get(account, id)).state)) return false;
    const { live, state } = await status.fresh(account, id);
    return live && settled.includes(state);
  }

  function tell({ action, account, id, actor, detail = {} }: Act): void {
    log('info', 'audit', { operationId: id, account, action, by: actor.subject, traceId: actor.traceId, detail });
  }

  return {
    tell,
    async recorded(act, verb) {
      const { account, id } = act;
      if (await hasNothingToDo(act)) return await verb();
      const same = await findSame(act);
      if (same !== null) return await repeat(act, same, verb);
      const name = newName();
      const entry = entryOf(act);
      await begin(act, name, entry);
      try {
        const answer = await verb();
        tell(act);
        await correct(act, trail.replace(account, id, name, entry));
        return answer;
      } catch (error) {
        if (isTrancheError(error) && error.code !== 'unavailable') await correct(act, trail.remove(account, id, name));
        throw error;
      }
    },

    async read(account, id) {
      const read = <T>(what: string, work: Promise<T>) =>
        orUnavailable('the audit trail cannot be read now; ask again', within(storeDeadlineMs, what, work));
      const standing = mayNameOperation(account, id)
        ? await read('the record', storage.records.readStanding(account, id))
        : null;
      if (standing === null) throw new TrancheError('not_found', 'there is no such operation');
      const { record, tombstone } = standing;
      const history = record === null ? tombstone.history : [submittedEntry(record)];
      const retries = record === null ? [] : await read('the runs', readRetries(storage, account, id));
      const entries = await read('the audit trail', trail.read(account, id));
      const all = [...history, ...retries, ...entries].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
      if (tombstone === null) return all;
      const { code, message, facts } = goneError(tombstone);
      throw new TrancheError(code, message, { ...facts, audit: all });
    },
  };
}

function entryOf({ action, actor, detail = {} }: Act): AuditEntry {
  return { at: new Date().toISOString(), action, by: actor.subject, traceId: actor.traceId, detail };
}

function isSame({ action, by, detail }: AuditEntry, act: Act): boolean {
  const { unconfirmed: _, ...said } = detail;
  return action === act.action && by === act.actor.subject && canonicalJson(said) === canonicalJson(act.detail ?? {});
}

async function readRetries({ records }: OperationsStorage, account: string, id: string): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for (let run = 2; ; run++) {
    const record = await records.readRun(account, id, run);
    if (record === null) return entries;
    entries.push(retriedEntry(record));
  }
}
