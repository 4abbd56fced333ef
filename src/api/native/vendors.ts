/** `/v1/vendors`: what each vendor allows, what is called now and by whom; `PATCH` sets a budget while calls are made. */
import { z } from 'zod';
import { isAllowed } from '../../model/access.ts';
import { TrancheError } from '../../model/errors.ts';
import type { Budget } from '../../model/governor.ts';
import type { VendorView } from '../../operations/vendors/vendor-view.ts';
import { type ApiApp, type ApiContext, type AppDeps, actorOf } from '../context.ts';
import { readQuery } from '../query.ts';
import { VARY } from '../render.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { readSmallJson } from '../small-json.ts';

export function addVendors(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/v1/vendors', { GET: needs('read', listHandler(deps)) });
  addRoute(app, '/v1/vendors/:vendor', {
    GET: needs('read', getHandler(deps)),
    PATCH: needs('budgets', budgetHandler(deps)),
  });
}

const HEADERS = { 'Cache-Control': 'private, no-cache', Vary: VARY } as const;

/** The budget as a whole, as GET shows it; null = what the setting says. Its bounds are the verb's to say. */
const Change = z.strictObject({
  budget: z
    .strictObject({
      windows: z.array(z.strictObject({ calls: z.number(), seconds: z.number() })).max(1_000),
      concurrencyMax: z.number().nullable().default(null),
    })
    .nullable(),
});

function listHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    const vendors = await operations.vendors.list();
    return c.json({ data: vendors.map((vendor) => shown(c, vendor)) }, 200, HEADERS);
  };
}

function getHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    return c.json(shown(c, await operations.vendors.get(nameOf(c))), 200, HEADERS);
  };
}

function budgetHandler({ operations }: AppDeps): Handler {
  return async (c) => {
    readQuery(c, []);
    const budget = readBudget(await readSmallJson(c));
    const { vendor, effectiveAt } = await operations.vendors.setBudget({
      vendor: nameOf(c),
      budget,
      actor: actorOf(c),
    });
    return c.json({ ...shown(c, vendor), effectiveAt }, 200, HEADERS);
  };
}

/** A worker's name is that of a host, and a subject may be a person's: for those who run the service. */
function shown(c: ApiContext, view: VendorView): VendorView {
  if (isAllowed(c.get('caller').roles, 'vendors')) return view;
  const workers = view.workers.map((worker) => ({ ...worker, name: null }));
  return { ...view, workers, budgetSet: view.budgetSet && { ...view.budgetSet, setBy: null } };
}

function nameOf(c: ApiContext): string {
  return c.req.param('vendor') ?? '';
}

/** Throws `invalid_policy` that names every member at fault. */
function readBudget(body: unknown): Budget | null {
  const read = Change.safeParse(body);
  if (read.success) return read.data.budget;
  const errors = read.error.issues.slice(0, FAULTS_SHOWN_MAX).map(({ path, message }) => {
    return { code: 'invalid_policy', detail: message.slice(0, 200), parameter: path.join('.').slice(0, 64) };
  });
  const told = errors.map(({ parameter, detail }) => (parameter === '' ? detail : `${parameter}: ${detail}`));
  throw new TrancheError('invalid_policy', told.join('; '), { errors });
}

const FAULTS_SHOWN_MAX = 10;
