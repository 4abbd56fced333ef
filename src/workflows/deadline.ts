/** Ends an operation at its deadline, whatever it does or waits for then: what it has not begun is cancelled. */
import { createAlarm } from './alarm.ts';
import type { Ledger } from './ledger.ts';
import { SLEEP_MAX_MS } from './progress.ts';
import type { Wishes } from './wishes.ts';

/** Nothing, and no command of the workflow's, where there is none. */
export function keepDeadline(ledger: Ledger, wishes: Wishes): void {
  const alarm = createAlarm(look);
  let watched: string | null = null;

  function look(): void {
    alarm.clear();
    watched = ledger.deadline();
    if (watched === null || wishes.cancelled) return;
    const atMs = Date.parse(watched);
    if (atMs > Date.now()) alarm.setFor(Math.min(atMs, Date.now() + SLEEP_MAX_MS));
    else ledger.failures.halt({ cause: 'deadline', action: 'stop', detail: `the deadline was ${watched}` });
  }

  wishes.onAmended = () => {
    if (ledger.deadline() !== watched) look();
  };
  look();
}
