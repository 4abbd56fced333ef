/** The refusal of a body whose framing is broken. */
import { TrancheError } from '../model/errors.ts';

/** `offset` is 0-based in the decoded body. */
export function malformed(message: string, offset: number, cause?: unknown): TrancheError {
  const options = cause === undefined ? undefined : { cause };
  return new TrancheError('malformed_body', `malformed body: ${message}, at byte ${offset}`, { offset }, options);
}
