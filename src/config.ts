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
  /** `host:port` that clients and workers connect to. */
  readonly temporalAddress: string;
  /** True where `npm start` has to run a Temporal server of its own. */
  readonly embeddedTemporal: boolean;
  /** Base URLs by vendor. */
  readonly vendorUrls: Readonly<Record<string, string>>;
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
 * @example readConfig({ PORT: '8080' }).server.port // 8080
 */
export function readConfig(env: Environment): Config {
  const faults: string[] = [];
  const read: Record<string, Record<string, unknown>> = {};
  for (const [group, settings] of Object.entries(SETTINGS)) {
    const values: Record<string, unknown> = {};
    for (const [name, setting] of Object.entries(settings)) values[name] = readSetting(setting, env, faults);
    read[group] = values;
  }
  const values = asValues(read);
  if (faults.length === 0) faults.push(...contradictions(values));
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
  const shown = setting.secret ? '(secret)' : JSON.stringify(text);
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
  return faults;
}

function derive(values: Groups, env: Environment): Omit<Config, keyof Table> {
  const dataDir = resolve(values.server.dataDir);
  const caches = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  return {
    dataDir,
    blobUrl: values.blobs.url || pathToFileURL(join(dataDir, 'blobs')).href,
    temporalAddress: values.temporal.address || '127.0.0.1:7233',
    embeddedTemporal: values.temporal.address === '',
    vendorUrls: { products: values.vendors.productsUrl || `http://127.0.0.1:${values.vendors.mockVendorPort}` },
    cacheDir: join(caches, 'tranche'),
  };
}
