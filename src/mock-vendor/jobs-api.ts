/** The jobs APIs: `sync` answers a job with its result, `async` takes it, and calls back or is asked later. */
import { z } from 'zod';
import { type CallbackCounts, type CallbackSender, createCallbackSender } from './callback-sender.ts';
import { breakToken } from './forged-token.ts';
import type { StoredAnswer } from './key-memory.ts';
import type { Settings } from './settings.ts';
import { type CallRequest, type Execution, problem, type VendorApiDeps } from './vendor-api.ts';

export interface Jobs {
  readonly execute: VendorApiDeps['execute'];
  /** `lost`: jobs that never end. */
  callbacks(): CallbackCounts & { readonly lost: number };
  clear(): void;
  close(): Promise<void>;
}

/** Jobs that can still be asked for; the oldest are forgotten first. */
const JOBS_MAX = 2_000_000;
/** Larger payloads are not shown in the result. */
const ECHO_CHARS_MAX = 8_192;

const JobBody = z.looseObject({ payload: z.unknown(), callbackUrl: z.url().optional() });

export function createSyncJobs(): Jobs {
  let last = 0;
  return {
    execute({ method, path, body }, settings, random) {
      if (method !== 'POST' || path !== '/sync/jobs') return null;
      const job = readJob(body);
      if (job === null) return { answer: INVALID, applied: false };
      const failure = failureOf(job, settings, random);
      if (failure !== null) return { answer: problem(422, failure, 'the job failed'), applied: false };
      last += 1;
      return { answer: { status: 200, body: `{"result":${resultOf(`sync_${last}`, job)}}` }, applied: true };
    },
    callbacks: () => NO_CALLBACKS,
    clear: () => undefined,
    close: async () => {},
  };
}

export function createAsyncJobs(): Jobs {
  /** What the vendor says of each job when it is asked. */
  const jobs = new Map<string, string>();
  const sender = createCallbackSender();
  let last = 0;
  let lost = 0;

  function take(request: CallRequest, settings: Settings, random: () => number): Execution {
    const job = readJob(request.body);
    if (job?.callbackUrl === undefined) return { answer: INVALID, applied: false };
    last += 1;
    const id = `job_${last}`;
    jobs.set(id, `{"id":"${id}","status":"processing"}`);
    const oldest = jobs.size > JOBS_MAX ? jobs.keys().next().value : undefined;
    if (oldest !== undefined) jobs.delete(oldest);
    const answer: StoredAnswer = { status: 202, body: JSON.stringify({ id, status: 'processing' }) };
    if (random() < settings.jobLostRate) {
      lost += 1;
      return { answer, applied: true };
    }
    const failure = failureOf(job, settings, random);
    const ended =
      failure === null
        ? `{"id":"${id}","status":"complete","result":${resultOf(id, job)}}`
        : JSON.stringify({ id, status: 'failed', error: { code: failure, message: `the job failed: ${failure}` } });
    const sent = callBack({ sender, settings, random }, job.callbackUrl, ended, () => jobs.set(id, ended));
    return { answer, applied: true, ...(sent === null ? {} : { before: sent }) };
  }

  return {
    execute(request, settings, random) {
      const { method, path } = request;
      if (method === 'POST' && path === '/async/jobs') return take(request, settings, random);
      const id = /^\/async\/jobs\/([^/?]+)$/.exec(path)?.[1];
      if (method !== 'GET' || id === undefined) return null;
      const job = jobs.get(decodeURIComponent(id));
      if (job === undefined) return { answer: problem(404, 'not_found', 'there is no such job'), applied: false };
      return { answer: { status: 200, body: job }, applied: false };
    },
    callbacks: () => ({ ...sender.counts(), lost }),
    clear() {
      lost = 0;
      sender.clear();
      jobs.clear();
    },
    close: sender.close,
  };
}

interface Sending {
  readonly sender: CallbackSender;
  readonly settings: Settings;
  readonly random: () => number;
}

/** Null where the answer to the job need not wait for it. */
function callBack(
  { sender, settings, random }: Sending,
  url: string,
  body: string,
  onEnded: () => void,
): Promise<void> | null {
  const { callbackDelayMs, callbackJitterMs, callbackEarlyRate } = settings;
  const delayMs = random() < callbackEarlyRate ? 0 : callbackDelayMs + random() * callbackJitterMs;
  sender.shuffle(settings.callbacksShuffled ? random : null);
  if (delayMs === 0) onEnded();
  else setTimeout(onEnded, delayMs).unref();
  if (random() < settings.callbackForgedRate) {
    const lie = '{"id":"forged","status":"complete","result":{"forged":true}}';
    void sender.send({ url: breakToken(url, random), body: lie, delayMs: random() * delayMs, isForged: true });
  }
  if (random() < settings.callbackMissingRate) return null;
  const first = sender.send({ url, body, delayMs, isForged: false });
  if (random() < settings.callbackDoubledRate) {
    void sender.send({ url, body, delayMs: delayMs + random() * (callbackJitterMs + 500), isForged: false });
  }
  return delayMs === 0 ? first : null;
}

interface Job {
  /** As it came, digit for digit. */
  readonly payload: string;
  readonly fail: string | null;
  readonly callbackUrl?: string | undefined;
}

function readJob(body: string | null): Job | null {
  try {
    const parsed = JobBody.safeParse(JSON.parse(body ?? ''));
    if (!parsed.success || !('payload' in parsed.data)) return null;
    const { payload, callbackUrl } = parsed.data;
    const fail = typeof payload === 'object' && payload !== null && 'fail' in payload ? payload.fail : null;
    return { payload: payloadText(body ?? ''), fail: typeof fail === 'string' ? fail : null, callbackUrl };
  } catch {
    return null;
  }
}

const PAYLOAD_FIRST = '{"payload":';
const CALLBACK_LAST = ',"callbackUrl":"';

/** Where the members stand as our own client writes them; other bodies are not shown. */
function payloadText(body: string): string {
  if (!body.startsWith(PAYLOAD_FIRST)) return 'null';
  const end = body.lastIndexOf(CALLBACK_LAST);
  return body.slice(PAYLOAD_FIRST.length, end === -1 ? -1 : end);
}

function failureOf({ fail }: Job, { jobFailRate }: Settings, random: () => number): string | null {
  if (fail !== null) return fail;
  return random() < jobFailRate ? 'unlucky' : null;
}

function resultOf(jobId: string, { payload }: Job): string {
  const echo = payload.length > ECHO_CHARS_MAX ? 'null' : payload;
  return `{"jobId":"${jobId}","payload":${echo}}`;
}

const NO_CALLBACKS = { pending: 0, sent: 0, taken: 0, refused: 0, givenUp: 0, forged: {}, lost: 0 };

const INVALID = problem(
  400,
  'invalid_job',
  'the body must be a JSON object with payload, and callbackUrl where needed',
);
