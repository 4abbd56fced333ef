/** How the mock vendor misbehaves, settable while it runs: the schema, the defaults, and the merge of a change. */
import { z } from 'zod';

const rate = z.number().min(0).max(1);

const change = z
  .strictObject({
    /** Time between a call's arrival and its effect and answer; `jitterMs` adds up to that much, evenly spread. */
    latencyMs: z.number().min(0).max(600_000),
    jitterMs: z.number().min(0).max(600_000),
    /** Status → share of calls that get it instead of being executed, e.g. `{"500": 0.1, "503": 0.05}`. */
    errors: z
      .record(z.string().regex(/^[45]\d\d$/, 'must be a status from 400 to 599'), rate)
      .refine(
        (errors) => Object.values(errors).reduce((sum, share) => sum + share, 0) <= 1,
        'must add up to 1 at most',
      ),
    /** `Retry-After` seconds sent with injected errors and while down; null = none. */
    retryAfterSeconds: z.int().min(0).max(86_400).nullable(),
    /** Share of calls never answered, and whether their effect is applied all the same. */
    hangRate: rate,
    hangAppliesEffect: z.boolean(),
    resetAfterEffectRate: rate,
    resetBeforeEffectRate: rate,
    /** Calls admitted in any window of one second; over it 429 + `Retry-After`. Below 1: one call per 1/rate seconds. */
    callsPerSecond: z.number().min(0.001).max(1_000_000).nullable(),
    /** Only ids that were created exist: 404 for others, 409 for a second create of an id. */
    strict: z.boolean(),
    /** true: every call gets 503; 'reset': its socket is destroyed. */
    down: z.union([z.boolean(), z.literal('reset')]),
    /** Products of these names are refused with 422. */
    rejectNames: z.array(z.string()).max(10_000),
    /** Executes every call whatever its key: what a vendor without idempotency does. */
    ignoreKeys: z.boolean(),
    /** `/sync`, `/async`: share of jobs that fail. A payload with a text `fail` fails with it as code, too. */
    jobFailRate: rate,
    /** `/async`: share of jobs that never end: no callback, and `processing` for ever. */
    jobLostRate: rate,
    /** `/async`: time from the answer to the callback; 0 = before the answer. `callbackJitterMs` adds up to that much. */
    callbackDelayMs: z.number().min(0).max(86_400_000),
    callbackJitterMs: z.number().min(0).max(86_400_000),
    /** Share of callbacks sent before the answer whatever the delay. */
    callbackEarlyRate: rate,
    /** Share of jobs that end and are never called back. */
    callbackMissingRate: rate,
    /** Share of callbacks sent twice. */
    callbackDoubledRate: rate,
    /** Share of jobs for which somebody else calls back too, with a broken token. */
    callbackForgedRate: rate,
    /** Callbacks that are due go out in random order. */
    callbacksShuffled: z.boolean(),
    /** Setting it restarts the random sequence behind every rate. */
    seed: z.int(),
  })
  .partial();

export type SettingsChange = z.infer<typeof change>;
export type Settings = { readonly [Name in keyof SettingsChange]-?: Exclude<SettingsChange[Name], undefined> };

export const DEFAULT_SETTINGS: Settings = {
  latencyMs: 0,
  jitterMs: 0,
  errors: {},
  retryAfterSeconds: null,
  hangRate: 0,
  hangAppliesEffect: false,
  resetAfterEffectRate: 0,
  resetBeforeEffectRate: 0,
  callsPerSecond: null,
  strict: false,
  down: false,
  rejectNames: [],
  ignoreKeys: false,
  jobFailRate: 0,
  jobLostRate: 0,
  callbackDelayMs: 100,
  callbackJitterMs: 0,
  callbackEarlyRate: 0,
  callbackMissingRate: 0,
  callbackDoubledRate: 0,
  callbackForgedRate: 0,
  callbacksShuffled: false,
  seed: 1,
};

export interface SettingFault {
  readonly setting: string;
  readonly message: string;
}

export type ParsedChange =
  | { readonly ok: true; readonly change: SettingsChange }
  | { readonly ok: false; readonly faults: readonly SettingFault[] };

/** All or nothing: one unknown or invalid setting refuses the whole change and is named. */
export function parseChange(body: string): ParsedChange {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { ok: false, faults: [{ setting: '', message: 'the body must be a JSON object of settings' }] };
  }
  const parsed = change.safeParse(json);
  if (parsed.success) return { ok: true, change: parsed.data };
  return { ok: false, faults: parsed.error.issues.flatMap(toFaults) };
}

/** Members named in the change replace the current ones; `errors` and `rejectNames` as wholes. */
export function mergeSettings(current: Settings, next: SettingsChange): Settings {
  const defined = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined));
  return { ...current, ...defined };
}

function toFaults(issue: z.core.$ZodIssue): SettingFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ setting: key, message: 'is not a setting' }));
  }
  return [{ setting: issue.path.join('.'), message: issue.message }];
}
