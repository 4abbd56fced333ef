/** Every wait of the verbs ends: with an answer, or with an error that says how long was waited and for what. */
import { isTrancheError, TrancheError } from '../model/errors.ts';

export const DEADLINE_PASSED = 'DEADLINE_PASSED';

/** The work itself goes on unseen; its late failure is nobody's. */
export async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(Object.assign(new Error(`${what} took longer than ${timeoutMs} ms`), { code: DEADLINE_PASSED }));
    }, timeoutMs);
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const RETRY_AFTER_SECONDS = 2;

/** 503: nothing is wrong with the request. */
export function unavailable(message: string, cause: unknown): TrancheError {
  return new TrancheError('unavailable', message, { retryAfterSeconds: RETRY_AFTER_SECONDS }, { cause });
}

/** What fails without saying what the caller can do is 503 with `message`. */
export async function orUnavailable<T>(message: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isTrancheError(error) ? error : unavailable(message, error);
  }
}

/** The same of what is read piece by piece: before the first one it can still be an answer. */
export async function* piecesOrUnavailable<T>(
  message: string,
  pieces: AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  try {
    yield* pieces;
  } catch (error) {
    throw isTrancheError(error) ? error : unavailable(message, error);
  }
}

/** Runs `work` for each entry, at most `concurrency` at once, answers in order. */
export async function mapBounded<In, Out>(
  entries: readonly In[],
  concurrency: number,
  work: (entry: In) => Promise<Out>,
): Promise<Out[]> {
  const answers = new Array<Out>(entries.length);
  let next = 0;
  async function lane(): Promise<void> {
    for (let i = next++; i < entries.length; i = next++) answers[i] = await work(entries[i] as In);
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, entries.length) }, lane));
  return answers;
}
