/** Puts the surfaces together: one Hono app over the verbs. Every answer leaves through the middleware named here. */
import { Hono } from 'hono';
import { TrancheError } from '../model/errors.ts';
import { addAccountLimits } from './account-limits.ts';
import { addApiKeys } from './api-keys.ts';
import { addBulkActions } from './bulk-actions.ts';
import { addCallbacks } from './callbacks.ts';
import type { ApiApp, ApiEnv, AppDeps } from './context.ts';
import { answerEarly } from './early-answer.ts';
import { createErrorHandler } from './errors.ts';
import { addHealth } from './health.ts';
import { addJobs } from './jobs.ts';
import { addNative } from './native.ts';
import { addProductBulk } from './product-bulk.ts';
import { requestFacts } from './request-facts.ts';
import { enterBy } from './sign-in.ts';

export function createApp(deps: AppDeps): ApiApp {
  const app: ApiApp = new Hono<ApiEnv>();
  app.use(answerEarly(deps.limits));
  app.use(requestFacts);
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
