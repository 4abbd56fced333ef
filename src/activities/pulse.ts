/** Heartbeats of an activity that holds no lease: they say that its process lives, however long its store takes. */
import { heartbeat } from '@temporalio/activity';

/** The SDK sends no more of them than the heartbeat timeout asks for. */
const PULSE_MS = 200;

/** Dead, its worker is found out within the heartbeat timeout, and another one does the work from the start. */
export function withPulse<Input, Answer>(work: (input: Input) => Promise<Answer>): (input: Input) => Promise<Answer> {
  return async (input) => {
    const timer = setInterval(() => heartbeat(), PULSE_MS);
    try {
      return await work(input);
    } finally {
      clearInterval(timer);
    }
  };
}
