/** Reads the environment: once, strictly, all faults at once. No other file knows `process.env`. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { z } from 'zod';
import type { Setting } from './setting.ts';
import { SETTINGS } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Table = typeof SETTINGS;
type Values<Group> = { readonly [Name in keyof Group]: Group[Name] extends { schema: infer S } ? z.output<S> : never };

/** Every setting by group, e.g. `config.server.port`; plus what follows from several of them. */
export type Config = { readonly [Group in keyof Table]: Values<Table[Group]> } & {
  /** Absolute. */
  readonly dataDir: string;
  /** `BLOB_URL`, or the file URL of `blobs` in the data folder. */
  readonly blobUrl: string;
  /** True where everybody signs in. */
  readonly signIn: boolean;
  /** `host:port` that clients and workers connect to. */
  readonly temporalAddress: string;
  /** True where `npm start` has to run a Temporal server of its own. */
  readonly embeddedTemporal: boolean;
  /** Base URLs by vendor. */
  readonly vendorUrls: Readonly<Record<string, string>>;
  /** Where vendors reach the API; empty = nowhere. */
  readonly callbackBaseUrl: string;
  /** Folder for what is shared between checkouts: the Temporal binary. */
  readonly cacheDir: string;
};

/** Message for the operator: every fault on a line of its own. */
export class ConfigError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n- ${faults.join('\n- ')}`,
    );
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** The environment as it is, for reading settings and for handing on to child processes. */
export function environment(): Environment {
  return process.env;
}

/**
 * Throws ConfigError with all faults. A variable that is empty counts as not set.
 * `mode`: what the process is to be, for faults that only such a process has.
 * @example readConfig({ PORT: '8080' }).server.port // 8080
 */
export function readConfig(env: Environment, mode: Mode | null = null): Config {
  const faults: string[] = [];
  const read: Record<string, Record<string, unknown>> = {};
  for (const [group, settings] of Object.entries(SETTINGS)) {
    const values: Record<string, unknown> = {};
    for (const [name, setting] of Object.entries(settings)) values[name] = readSetting(setting, env, faults);
    read[group] = values;
  }
  const values = asValues(read);
  if (faults.length === 0) faults.push(...contradictions(values), ...openDoors(values, mode));
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...values, ...derive(values, env) };
}

type Groups = { readonly [Group in keyof Table]: Values<Table[Group]> };

/** Holds because the loop above fills every name of the table with its schema's output, or reports a fault. */
function asValues(read: Record<string, Record<string, unknown>>): Groups {
  return read as unknown as Groups;
}

function readSetting(setting: Setting<z.ZodType<unknown, string>>, env: Environment, faults: string[]): unknown {
  const given = env[setting.env];
  const text = given === undefined || given === '' ? setting.fallback : given;
  const parsed = setting.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  // What stands before an @ may be a password that stands in the wrong place.
  const shown = setting.secret ? '(secret)' : JSON.stringify(text.replace(/[^/]*@/, '…@'));
  faults.push(`${setting.env}=${shown} ${parsed.error.issues.map((issue) => issue.message).join(', ')}`);
  return undefined;
}

/** Settings that are right one by one and wrong together. */
function contradictions(values: Groups): string[] {
  const faults: string[] = [];
  const { blobs, worker, retry } = values;
  if ((blobs.s3AccessKeyId === '') !== (blobs.s3SecretAccessKey === '')) {
    faults.push('S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must be set both or neither');
  }
  if (worker.boxMs > worker.boxMaxMs) faults.push('BOX_MS must not be above BOX_MAX_MS');
  if (retry.initialIntervalMs > retry.maximumIntervalMs) {
    faults.push('RETRY_INITIAL_INTERVAL_MS must not be above RETRY_MAXIMUM_INTERVAL_MS');
  }
  if (values.diagnosis.crashPoint !== null && !values.diagnosis.crashPointsAllowed) {
    faults.push('CRASH_POINT kills this process on purpose: set CRASH_POINTS_ALLOWED=yes where that is wanted');
  }
  const { callbacks, server, temporal, vendors } = values;
  if (vendors.asyncUrl !== '' && temporal.address !== '' && callbacks.secret === '') {
    faults.push('CALLBACK_SECRET must be set where ASYNC_VENDOR_URL is');
  }
  if (temporal.address !== '' && callbacks.secret !== '' && callbacks.baseUrl === '' && server.publicUrl === '') {
    faults.push('CALLBACK_BASE_URL or PUBLIC_URL must be set where CALLBACK_SECRET is');
  }
  const known = Object.keys(vendorUrlsOf(vendors));
  for (const vendor of Object.keys(vendors.budgets).filter((name) => !known.includes(name))) {
    faults.push(`VENDOR_BUDGETS names "${vendor}", and there is no such vendor: ${known.join(', ')}`);
  }
  return faults;
}

/** The processes that face callers; what a supervisor starts was judged with the supervisor. */
export type Mode = 'all' | 'api';

function signsIn({ access }: Groups): boolean {
  if (access.auth !== '') return access.auth === 'on';
  return access.jwtSecret !== '' || access.jwksUrl !== '' || access.adminApiKey !== '';
}

/** Nobody gets in without signing in unless that was said in words, or nobody but this machine can knock. */
function openDoors(values: Groups, mode: Mode | null): string[] {
  const { server, temporal, access, limits, database } = values;
  if (mode === null) return [];
  const faults: string[] = [];
  const ways = 'set JWT_SECRET, JWT_JWKS_URL or ADMIN_API_KEY';
  const isLocal = isLoopback(server.host);
  const signIn = signsIn(values);
  if (access.auth === 'none' && signsIn({ ...values, access: { ...access, auth: '' } })) {
    faults.push('AUTH=none contradicts JWT_SECRET, JWT_JWKS_URL and ADMIN_API_KEY: unset either');
  }
  if (mode === 'all' && !signIn && !isLocal) {
    faults.push(`HOST=${server.host} lets others in, and nobody signs in: keep HOST=127.0.0.1, or ${ways}`);
  }
  if (mode === 'api' && access.auth === '' && !signIn && (!isLocal || temporal.address !== '')) {
    faults.push(`nobody would have to sign in: ${ways}, or AUTH=on for API keys alone, or say AUTH=none`);
  }
  if (mode === 'api' && database.url === '') {
    if (access.auth === 'on' && !signsIn({ ...values, access: { ...access, auth: '' } })) {
      faults.push(`AUTH=on and nothing to sign in with: ${ways}, or DATABASE_URL for API keys`);
    }
    if (isLimited(limits)) faults.push('limits of accounts are counted in a database: set DATABASE_URL');
  }
  return faults;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** True where only this machine can knock. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** True where any limit of accounts is set. */
export function isLimited(limits: Groups['limits']): boolean {
  const { bulkActionsMax, submissionsMax, operationsMax, itemsMax, bytesMax } = limits;
  return [bulkActionsMax, submissionsMax, operationsMax, itemsMax, bytesMax].some((max) => max > 0);
}

function derive(values: Groups, env: Environment): Omit<Config, keyof Table> {
  const dataDir = resolve(values.server.dataDir);
  const caches = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  return {
    dataDir,
    signIn: signsIn(values),
    blobUrl: values.blobs.url || pathToFileURL(join(dataDir, 'blobs')).href,
    temporalAddress: values.temporal.address || '127.0.0.1:7233',
    embeddedTemporal: values.temporal.address === '',
    vendorUrls: vendorUrlsOf(values.vendors),
    callbackBaseUrl: values.callbacks.baseUrl || values.server.publicUrl,
    cacheDir: join(caches, 'tranche'),
  };
}

/** The mock vendor stands in for those that no URL is set for. */
function vendorUrlsOf({ productsUrl, syncUrl, asyncUrl, mockVendorPort }: Groups['vendors']): Config['vendorUrls'] {
  const mock = `http://127.0.0.1:${mockVendorPort}`;
  return { products: productsUrl || mock, sync: syncUrl || `${mock}/sync`, async: asyncUrl || `${mock}/async` };
}
