/** The table of settings: what each is for, its schema, default and environment name. `config.ts` reads it; the docs are made from it. */
import { z } from 'zod';
import { ACCESS_SETTINGS } from './access-settings.ts';
import { budgets } from './budget-list.ts';
import { DIAGNOSIS_SETTINGS } from './diagnosis-settings.ts';
import { INGEST_SETTINGS } from './ingest-settings.ts';
import { address, flag, setting, text, url, urlWithPassword, whole } from './setting.ts';
import { WORK_SETTINGS } from './work-settings.ts';

const DAY_MS = 86_400_000;

export const SETTINGS = {
  server: {
    port: setting(
      'PORT',
      '3000',
      whole(0, 65_535),
      'Port of the HTTP API. 0 = any free one, named by the `ready` line.',
    ),
    host: setting(
      'HOST',
      '127.0.0.1',
      text(),
      'Address that the HTTP API binds. Another than the local one takes sign-in, see `AUTH`.',
    ),
    publicUrl: setting(
      'PUBLIC_URL',
      '',
      url('http:', 'https:'),
      'What clients call the API, e.g. `https://bulk.example.com`: links in answers begin with it. Empty: what the request says.',
    ),
    dataDir: setting(
      'DATA_DIR',
      './.data',
      text(),
      'Folder of everything that the embedded stack keeps. One stack per folder.',
    ),
    logLevel: setting(
      'LOG_LEVEL',
      'info',
      z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error'),
      'Least level that is logged (JSON lines on stderr).',
    ),
    shutdownGraceMs: setting(
      'SHUTDOWN_GRACE_MS',
      '10000',
      whole(0, 600_000),
      'Milliseconds that requests and slices get to end by themselves at shutdown.',
    ),
  },
  temporal: {
    address: setting(
      'TEMPORAL_ADDRESS',
      '',
      address(),
      '`host:port` of a Temporal cluster. Empty: `npm start` runs a dev server of its own; other commands use 127.0.0.1:7233.',
    ),
    namespace: setting(
      'TEMPORAL_NAMESPACE',
      'default',
      text(),
      'Temporal namespace. Registered where it is missing and we may.',
    ),
    cliPath: setting(
      'TEMPORAL_CLI_PATH',
      '',
      text(),
      'Path of the `temporal` binary for the embedded server. Empty: `temporal` on PATH, the cached one, a download, a build with Go; in this order.',
    ),
    apiKey: {
      ...setting('TEMPORAL_API_KEY', '', text(), 'API key for the cluster (Temporal Cloud). Implies TLS.'),
      secret: true as const,
    },
    tls: setting('TEMPORAL_TLS', 'off', flag(), '`on`: connect with TLS.'),
    uiPort: setting(
      'TEMPORAL_UI_PORT',
      '8233',
      whole(0, 65_535),
      "Port of the embedded server's Web UI; where it is taken, another one, named in the log. 0 = no Web UI.",
    ),
    connectTimeoutMs: setting(
      'TEMPORAL_CONNECT_TIMEOUT_MS',
      '10000',
      whole(100, 600_000),
      'Milliseconds for one attempt to reach Temporal at start-up.',
    ),
    callTimeoutMs: setting(
      'TEMPORAL_CALL_TIMEOUT_MS',
      '1200',
      whole(100, 60_000),
      'Deadline of one call to Temporal on the path of a request.',
    ),
  },
  blobs: {
    url: setting(
      'BLOB_URL',
      '',
      url('file:', 's3:'),
      'Where blobs are kept: `file:///folder` or `s3://bucket/prefix`. Empty: `blobs` in the data folder.',
    ),
    deadlineMs: setting(
      'BLOB_DEADLINE_MS',
      '15000',
      whole(100, 600_000),
      'Milliseconds for one blob on the path of a request; then 503.',
    ),
    s3AccessKeyId: {
      ...setting('S3_ACCESS_KEY_ID', '', text(), "S3 access key. Empty: the SDK's default chain (profile, role, …)."),
      secret: true as const,
    },
    s3SecretAccessKey: {
      ...setting('S3_SECRET_ACCESS_KEY', '', text(), 'Secret of `S3_ACCESS_KEY_ID`; both or neither.'),
      secret: true as const,
    },
  },
  database: {
    url: {
      ...setting(
        'DATABASE_URL',
        '',
        urlWithPassword('postgres:', 'postgresql:'),
        'PostgreSQL (14 or later) for contacts and other entities, limits and API keys: `postgres://user:password@host:5432/name`. Empty: `npm start` runs one of its own in the data folder; other commands have none.',
      ),
      secret: true as const,
    },
    port: setting(
      'DATABASE_PORT',
      '0',
      whole(0, 65_535),
      'Port of the embedded database on 127.0.0.1. 0 = any free one, named in the log.',
    ),
    connectionsMax: setting(
      'DATABASE_CONNECTIONS_MAX',
      '8',
      whole(1, 1_000),
      'Connections to the database, per process.',
    ),
    statementTimeoutMs: setting(
      'DATABASE_STATEMENT_TIMEOUT_MS',
      '15000',
      whole(100, 3_600_000),
      'Milliseconds after which a statement is given up. A process that freezes in a transaction loses it after 30 s.',
    ),
  },
  vendors: {
    mockVendor: setting('MOCK_VENDOR', 'on', flag(), '`npm start` runs the mock vendor too.'),
    mockVendorPort: setting('MOCK_VENDOR_PORT', '4010', whole(0, 65_535), 'Port of the mock vendor. 0 = any free one.'),
    productsUrl: setting(
      'PRODUCTS_VENDOR_URL',
      '',
      url('http:', 'https:'),
      'Base URL of the vendor behind the target `products`. Empty: the mock vendor.',
    ),
    syncUrl: setting(
      'SYNC_VENDOR_URL',
      '',
      url('http:', 'https:'),
      'Base URL of the vendor behind the target `sync`. Empty: the mock vendor.',
    ),
    asyncUrl: setting(
      'ASYNC_VENDOR_URL',
      '',
      url('http:', 'https:'),
      'Base URL of the vendor behind the target `async`, which calls back. Empty: the mock vendor.',
    ),
    connections: setting(
      'VENDOR_CONNECTIONS',
      '1024',
      whole(1, 10_000),
      'Connections to one vendor, per worker process.',
    ),
    budgets: setting(
      'VENDOR_BUDGETS',
      '',
      budgets(),
      'What each vendor allows, over all worker processes together: `products=50/s+3000/min+concurrency:20,sync=2.5/s`. Calls per `s`, `min`, `h`, `day` or seconds (`100/10s`); all of them hold at once. A vendor that is not named is not governed. See docs/vendors.md.',
    ),
    sendTimes: setting(
      'VENDOR_SEND_TIMES',
      'off',
      flag(),
      '`on`: each vendor call says when its bytes went out (`Tranche-Sent-At`, epoch milliseconds): to judge budgets by.',
    ),
    callTimeoutMs: setting(
      'CALL_TIMEOUT_MS',
      '30000',
      whole(10, 3_600_000),
      'Milliseconds after which a vendor call without an answer is given up (its effect is then in doubt).',
    ),
  },
  callbacks: {
    secret: {
      ...setting(
        'CALLBACK_SECRET',
        '',
        text().refine((it) => it === '' || Buffer.byteLength(it) >= 32, 'must have at least 32 bytes'),
        'Signs the callback URLs given to vendors; the same for all processes. Empty: `npm start` makes one and keeps it in the data folder; elsewhere targets whose vendor calls back are refused.',
      ),
      secret: true as const,
    },
    baseUrl: setting(
      'CALLBACK_BASE_URL',
      '',
      url('http:', 'https:'),
      'Where vendors reach the API. Empty: `PUBLIC_URL`, else (`npm start`) the address of the API. Leave it as it is while operations run: a call repeated under its idempotency key would differ.',
    ),
    timeoutMs: setting(
      'CALLBACK_TIMEOUT_MS',
      '600000',
      whole(100, 30 * DAY_MS),
      'Milliseconds from the moment a vendor has taken an item to the end of waiting for its callback; then it is asked, or the outcome is `unknown`.',
    ),
  },
  ingest: INGEST_SETTINGS,
  operations: {
    retentionDays: setting(
      'RETENTION_DAYS',
      '30',
      whole(1, 3_650),
      "Days that an operation and its results are kept after its end; its tombstone (410) for as many more. Temporal's retention is raised to it.",
    ),
    reconcileIntervalMs: setting(
      'RECONCILE_INTERVAL_MS',
      '5000',
      whole(100, 3_600_000),
      'Milliseconds between two passes of the reconciler (outbox, lost workflows, stale uploads).',
    ),
    statusCacheMs: setting(
      'STATUS_CACHE_MS',
      '500',
      whole(0, 60_000),
      'Milliseconds that a live status is shared between readers.',
    ),
    statusDeadlineMs: setting(
      'STATUS_DEADLINE_MS',
      '1500',
      whole(50, 60_000),
      'Milliseconds for a live answer; then the last known status is shown with `"live": false`.',
    ),
  },
  ...ACCESS_SETTINGS,
  ...WORK_SETTINGS,
  ...DIAGNOSIS_SETTINGS,
} as const;

/** What each group is about, for the docs. */
export const SETTING_GROUPS: Readonly<Record<keyof typeof SETTINGS, string>> = {
  server: 'Server',
  temporal: 'Temporal',
  blobs: 'Blob store',
  database: 'Database',
  vendors: 'Vendors',
  callbacks: 'Callbacks of vendors',
  ingest: 'Uploads',
  operations: 'Operations',
  access: 'Sign-in',
  limits: 'Limits of an account',
  worker: 'Worker',
  retry: 'Retry policy of an item',
  diagnosis: 'For tests only',
};
