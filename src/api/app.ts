/** Puts the surfaces together: one Hono app over the verbs. Every answer leaves through the middleware named here. */
import { Hono } from 'hono';
import { TrancheError } from '../model/errors.ts';
import { addBulkActions } from './bulk-actions/bulk-actions.ts';
import type { ApiApp, ApiEnv, AppDeps } from './context.ts';
import { answerEarly } from './early-answer.ts';
import { createErrorHandler } from './errors.ts';
import { addHealth } from './health.ts';
import { addCallbacks } from './jobs/callbacks.ts';
import { addJobs } from './jobs/jobs.ts';
import { addAccountLimits } from './native/account-limits.ts';
import { addApiKeys } from './native/api-keys.ts';
import { addNative } from './native/native.ts';
import { addProductBulk } from './product-bulk.ts';
import { requestFacts } from './request-facts.ts';
import { refuseOversized } from './request-size.ts';
import { enterBy } from './sign-in/sign-in.ts';

export function createApp(deps: AppDeps): ApiApp {
  const app: ApiApp = new Hono<ApiEnv>();
  app.use(answerEarly(deps.limits));
  app.use(requestFacts);
  app.use(refuseOversized(deps.limits));
  app.use(enterBy(deps.signIn));
  app.onError(createErrorHandler(deps.log));
  app.notFound(() => {
    throw new TrancheError('not_found', 'There is nothing here.');
  });
  addNative(app, deps);
  addProductBulk(app, deps);
  addBulkActions(app, deps);
  addJobs(app, deps);
  addCallbacks(app, deps);
  addAccountLimits(app, deps);
  addApiKeys(app, deps);
  addHealth(app, deps);
  return app;
}
