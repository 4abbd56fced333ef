/** The folder's door: the verb, and the sweep that finishes what it began and takes what is over. */
import type { Client } from '@temporalio/client';
import type { Database } from '../../model/database.ts';
import type { Log } from '../../model/log.ts';
import type { Audit } from '../audit.ts';
import type { OperationsStorage } from '../deps.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import type { OperationsSettings } from '../settings.ts';
import type { Status } from '../status/status.ts';
import { createPurge } from './purge.ts';
import { createRemoval } from './removal.ts';
import { createSweeper, type Sweeper } from './sweeper.ts';
import { createWorkflowRuns } from './workflow-runs.ts';

export interface PurgingDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly database: Database | null;
  readonly temporal: { readonly client: Client; readonly link: TemporalLink };
  readonly status: Status;
  readonly audit: Audit;
  readonly settings: OperationsSettings;
  readonly log: Log;
}

export interface Purging {
  readonly purge: ReturnType<typeof createPurge>;
  readonly sweeper: Sweeper;
}

export function createPurging(deps: PurgingDeps): Purging {
  const { storage, database, temporal, status, audit, settings, log } = deps;
  const { link } = temporal;
  const removal = createRemoval({ storage, database, log });
  const workflowRuns = createWorkflowRuns({ ...temporal, callDeadlineMs: settings.callDeadlineMs });
  return {
    purge: createPurge({ storage, status, audit, link, removal, workflowRuns, settings, log }),
    sweeper: createSweeper({ storage, removal, workflowRuns, link, settings, log }),
  };
}
