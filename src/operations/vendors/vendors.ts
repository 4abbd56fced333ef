/** What is known of the vendors and what they allow: read live from their governors, changed while calls are made. */
import { faultsOfBudget, type SetBudget, UNGOVERNED_LOOK_MS } from '../../model/budget.ts';
import { TrancheError } from '../../model/errors.ts';
import type { Budget, GovernorStanding } from '../../model/governor.ts';
import type { Log } from '../../model/log.ts';
import type { VendorBudgets } from '../../storage/vendor-budgets.ts';
import { orUnavailable, unavailable, within } from '../deadline.ts';
import type { Actor } from '../operations.ts';
import type { GovernorClient } from './governor-client.ts';
import { createTelling, type Telling } from './telling.ts';
import { isUntold, type VendorView, viewOfVendor } from './vendor-view.ts';

export interface Vendors {
  /** Every vendor that is configured, governed or not. `unavailable` only where the store is down. */
  list(): Promise<readonly VendorView[]>;
  /** Throws `not_found`. */
  get(vendor: string): Promise<VendorView>;
  /**
   * Null goes back to what the setting says. Saying it twice changes nothing. Throws `not_found`, `invalid_policy`, and
   * `unavailable` where the governor has not heard of it yet: it is kept then, and told until it has.
   * `effectiveAt`: RFC 3339; no window that begins later goes over the budget.
   */
  setBudget(request: SetBudgetRequest): Promise<{ readonly vendor: VendorView; readonly effectiveAt: string }>;
}

export interface SetBudgetRequest {
  readonly vendor: string;
  readonly budget: Budget | null;
  readonly actor: Actor;
}

export interface VendorsDeps {
  /** Every vendor that there is, with what the settings say of it; null = nothing. */
  readonly configured: Readonly<Record<string, Budget | null>>;
  readonly budgets: VendorBudgets;
  readonly governors: GovernorClient;
  readonly settings: {
    readonly statusCacheMs: number;
    readonly statusDeadlineMs: number;
    readonly storeDeadlineMs: number;
  };
  readonly log: Log;
}

/** A governor that did not answer is left alone for so long. */
const SILENCE_MS = 1_000;
/** A worker that calls freely has read the budget by then. */
const LOOKED_MS = UNGOVERNED_LOOK_MS + 1_000;

export function createVendors(deps: VendorsDeps): Vendors & { stop(): void } {
  const { configured, budgets, governors, settings, log } = deps;
  const { statusCacheMs, storeDeadlineMs } = settings;
  const looks = new Map<string, Look>();
  const telling: Telling = createTelling({ budgets, governors, storeDeadlineMs, log });

  function configuredOf(vendor: string): Budget | null {
    const budget = Object.hasOwn(configured, vendor) ? configured[vendor] : undefined;
    if (budget === undefined) throw new TrancheError('not_found', 'There is no such vendor.');
    return budget;
  }

  async function look(vendor: string): Promise<VendorView> {
    const reading = within(storeDeadlineMs, 'the budget', budgets.read(vendor));
    const [set, standing] = await Promise.all([
      orUnavailable('what was set for the vendor cannot be read now; ask again', reading),
      standingOf(deps, vendor),
    ]);
    if (standing !== null && standing !== 'silent' && isUntold(set, standing)) telling.untilTold(vendor);
    return viewOfVendor({ vendor, configured: configuredOf(vendor), set, standing, nowMs: Date.now() });
  }

  function fresh(vendor: string): Promise<VendorView> {
    const began: Look = { viewing: look(vendor), untilMs: Number.POSITIVE_INFINITY };
    looks.set(vendor, began);
    const goodUntil = (cacheMs: number) => {
      began.untilMs = Date.now() + cacheMs;
    };
    began.viewing.then(
      ({ live }) => goodUntil(live ? statusCacheMs : Math.max(statusCacheMs, SILENCE_MS)),
      () => goodUntil(0),
    );
    return began.viewing;
  }

  /** One look for all who ask at once. */
  async function get(vendor: string): Promise<VendorView> {
    configuredOf(vendor);
    const known = looks.get(vendor);
    return await (known !== undefined && Date.now() < known.untilMs ? known.viewing : fresh(vendor));
  }

  /** What cannot be read is about to be replaced. */
  function kept(vendor: string): Promise<SetBudget | null> {
    return within(storeDeadlineMs, 'the budget', budgets.read(vendor)).catch(() => null);
  }

  async function setBudget({ vendor, budget, actor }: SetBudgetRequest) {
    const setting = configuredOf(vendor);
    if (budget !== null) refuseFaults(budget);
    const set: SetBudget = { version: 1, budget, setBy: actor.subject, setAt: new Date().toISOString() };
    const wasFree = setting === null && ((await kept(vendor))?.budget ?? null) === null;
    const keeping = within(storeDeadlineMs, 'the budget', budgets.put(vendor, set));
    await orUnavailable('the budget cannot be kept now; ask again', keeping);
    log('info', 'a vendor’s budget was set', { vendor, budget, by: actor.subject, traceId: actor.traceId });
    try {
      const toldMs = await telling.tell(vendor);
      const effectiveAtMs = budget !== null && wasFree ? Math.max(toldMs, Date.now() + LOOKED_MS) : toldMs;
      return { vendor: await fresh(vendor), effectiveAt: new Date(effectiveAtMs).toISOString() };
    } catch (cause) {
      telling.untilTold(vendor);
      throw unavailable('the budget is kept, and takes effect once the vendor’s governor can be reached', cause);
    }
  }

  return {
    list: () => Promise.all(Object.keys(configured).map(get)),
    get,
    setBudget,
    stop: telling.stop,
  };
}

/** `untilMs`: epoch ms until which its answer is shared; it is not known before there is one. */
interface Look {
  readonly viewing: Promise<VendorView>;
  untilMs: number;
}

async function standingOf(
  { governors, settings }: VendorsDeps,
  vendor: string,
): Promise<GovernorStanding | null | 'silent'> {
  const asking = governors.standing(vendor, Date.now() + settings.statusDeadlineMs);
  return await asking.catch((): 'silent' => 'silent');
}

/** Throws `invalid_policy` that names every part at fault. */
function refuseFaults(budget: Budget): void {
  const errors = faultsOfBudget(budget).map(({ place, message }) => {
    return { code: 'invalid_policy', detail: message, parameter: place === 'budget' ? place : `budget.${place}` };
  });
  if (errors.length === 0) return;
  const told = errors.map(({ parameter, detail }) => `${parameter}: ${detail}`).join('; ');
  throw new TrancheError('invalid_policy', told, { errors });
}
