/** The room's door: the verbs, wired to one link to Temporal and one memory of what was seen. */
import type { AuditAction } from '../model/audit.ts';
import { createVendorBudgets } from '../storage/vendor-budgets.ts';
import { createAmend } from './amend.ts';
import { createAudit } from './audit.ts';
import { createCallbacks } from './callbacks/callbacks.ts';
import { createJobs } from './callbacks/jobs.ts';
import { type ControlVerb, createControl } from './control.ts';
import type { OperationsDeps } from './deps.ts';
import { createHealth } from './health.ts';
import { createAdmission, UNLIMITED } from './limits/admission.ts';
import type { Actor, Operations } from './operations.ts';
import { createPurging } from './purge/purging.ts';
import { createErrorGroups } from './results/error-groups.ts';
import { createInput } from './results/input.ts';
import { createItems } from './results/items.ts';
import { createResults } from './results/results.ts';
import { createSkipReasons } from './results/skip-reasons.ts';
import { createDeadLetters } from './retry/dead-letters.ts';
import { createRetry } from './retry/retry.ts';
import { createNudges } from './running/nudges.ts';
import { createQueueWatch } from './running/queue-watch.ts';
import { createReconciler } from './running/reconciler.ts';
import { createStarter } from './running/starter.ts';
import { createTemporalLink } from './running/temporal-link.ts';
import { createLister } from './status/list.ts';
import { createPager } from './status/page.ts';
import { createStatus } from './status/status.ts';
import { createSubmit } from './submit/submit.ts';
import { createGovernorClient } from './vendors/governor-client.ts';
import { createVendors } from './vendors/vendors.ts';

export type { OperationsDeps, OperationsStorage, TargetRegistry } from './deps.ts';
export type { OperationsSettings } from './settings.ts';

export interface RunningOperations extends Operations {
  /** Starts the reconciler. */
  start(): void;
  stop(): Promise<void>;
}

export function createOperations(deps: OperationsDeps): RunningOperations {
  const { storage, ingest, client, database, targets, settings, limits, log } = deps;
  const { callDeadlineMs, storeDeadlineMs } = settings;
  const link = createTemporalLink(client);
  const nudges = createNudges();
  const starter = createStarter({ client, link, nudges, deadlineMs: settings.startDeadlineMs, log });
  const status = createStatus({ records: storage.records, client, link, nudges, settings });
  const admission =
    limits === undefined
      ? UNLIMITED
      : createAdmission({ records: storage.records, quotas: limits.quotas, storeDeadlineMs });
  const submit = createSubmit({ storage, ingest, targets, starter, status, admission, settings });
  const control = createControl({ client, link, status, callDeadlineMs });
  const amend = createAmend({ client, link, status, callDeadlineMs });
  const lister = createLister({ client, link, status, deadlineMs: callDeadlineMs });
  const pager = createPager({ client, link, status, deadlineMs: callDeadlineMs });
  const audit = createAudit({ storage, status, storeDeadlineMs, log });
  const controlled = (action: AuditAction, verb: ControlVerb) => (account: string, id: string, actor: Actor) =>
    audit.recorded({ action, account, id, actor }, () => control(verb, account, id));
  const retry = createRetry({ storage, ingest, targets, starter, status, nudges, admission, settings });
  const items = createItems({ storage, targets, status, storeDeadlineMs });
  const results = createResults({ storage, targets, status, storeDeadlineMs });
  const secret = deps.callbackSecret ?? null;
  const callbacks = createCallbacks({ storage, client, link, secret, settings, log });
  const vendors = createVendors({
    configured: deps.vendorBudgets ?? {},
    budgets: createVendorBudgets(storage.store),
    governors: createGovernorClient(client, link),
    settings,
    log,
  });
  const temporal = { client, link };
  const purging = createPurging({ storage, database, temporal, status, audit, settings, log });
  const queueWatch =
    deps.unloadQueue && createQueueWatch({ client, link, unload: deps.unloadQueue, callDeadlineMs, log });
  const reconciler = createReconciler({ storage, temporal: { client, link, starter }, nudges, settings, log });
  return {
    async submit(request) {
      const submitted = await submit(request);
      if (submitted.replayed) return submitted;
      lister.accepted(submitted.operation);
      pager.accepted(request.surface, submitted.operation);
      const { account, id, target, counts, traceId } = submitted.operation;
      const detail = { surface: request.surface, target, items: counts.total };
      audit.tell({ action: 'submitted', account, id, actor: { subject: request.submittedBy, traceId }, detail });
      return submitted;
    },
    get: status.get,
    list: lister.list,
    pause: controlled('paused', 'pause'),
    resume: controlled('resumed', 'resume'),
    cancel: controlled('cancelled', 'cancel'),
    amend: (account, id, amendment, actor) =>
      audit.recorded({ action: 'amended', account, id, actor, detail: { ...amendment } }, () =>
        amend(account, id, amendment),
      ),
    purge: purging.purge,
    async retry(request) {
      const retried = await retry(request);
      const { account, id, actor } = request;
      if (!retried.replayed)
        audit.tell({ action: 'retried', account, id, actor, detail: { run: retried.operation.run } });
      return retried;
    },
    item: items.item,
    itemInput: items.itemInput,
    deadLetters: createDeadLetters({ storage, targets, status, storeDeadlineMs }),
    job: createJobs({ storage, status, storeDeadlineMs }),
    takeCallback: callbacks.take,
    audit: audit.read,
    page: pager.page,
    skipReasons: createSkipReasons(results),
    targets: targets.targetViews,
    vendors,
    results,
    errors: createErrorGroups(results),
    input: createInput({ storage, status, storeDeadlineMs }),
    health: createHealth({ store: storage.store, client, database }),
    limits: async (account) => (await limits?.quotas.standings(account)) ?? [],
    start() {
      reconciler.start();
      queueWatch?.start();
      purging.sweeper.start();
      limits?.sweep.start();
    },
    async stop() {
      callbacks.stop();
      vendors.stop();
      await Promise.all([reconciler.stop(), queueWatch?.stop(), purging.sweeper.stop(), limits?.sweep.stop()]);
    },
  };
}
