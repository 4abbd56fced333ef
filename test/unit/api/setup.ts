/** The app over fake verbs, without a port. */

import { createApp } from '../../../src/api/app.ts';
import type { AppDeps } from '../../../src/api/context.ts';
import { API_LIMITS, type ApiLimits } from '../../../src/api/limits.ts';
import { createNoSignIn } from '../../../src/api/sign-in/sign-in.ts';
import { noLog } from '../../../src/model/log.ts';
import type { Operations } from '../../../src/operations/operations.ts';
import { type FakeOperations, fakeOperations } from '../../fixtures/fake-operations.ts';

export function appOver(
  overrides: Partial<Operations> = {},
  deps: Partial<Omit<AppDeps, 'limits'>> & { readonly limits?: Partial<ApiLimits> } = {},
): { app: ReturnType<typeof createApp>; operations: FakeOperations } {
  const operations = fakeOperations(overrides);
  const app = createApp({
    operations,
    log: noLog,
    ready: () => true,
    keylessReplayWindowMs: 600_000,
    publicUrl: null,
    apiKeys: null,
    signIn: createNoSignIn({ publicUrl: null }),
    closing: new AbortController().signal,
    ...deps,
    limits: { ...API_LIMITS, waitIntervalMs: 5, ...deps.limits },
  });
  return { app, operations };
}

export const JSON_HEADERS = { 'Content-Type': 'application/json' } as const;
