/**
 * A part of the service that has everything loaded and waits: told to go, it is `src/main.ts` within a fraction of a
 * second. Told of a crash point it dies there, so that one process serves history after history.
 */
import { crashAt } from '../../../src/crash.ts';
import type { CrashOrder } from '../../../src/diagnosis-settings.ts';

export type ToStandby =
  | { readonly kind: 'go'; readonly mode: 'api' | 'worker'; readonly env: Readonly<Record<string, string>> }
  | { readonly kind: 'arm'; readonly order: CrashOrder | null };

export type FromStandby = { readonly kind: 'loaded' } | { readonly kind: 'armed' };

const MAIN = '../../../src/main.ts';
const beforeGo = () => process.exit(0);

process.once('disconnect', beforeGo);
await import('../../../src/deps.ts');
process.on('message', (message: ToStandby) => void obey(message));
tell({ kind: 'loaded' });

async function obey(message: ToStandby): Promise<void> {
  if (message.kind === 'arm') {
    crashAt(message.order);
    tell({ kind: 'armed' });
    return;
  }
  Object.assign(process.env, message.env);
  process.argv[2] = message.mode;
  // From here on main itself ends where its parent does.
  process.off('disconnect', beforeGo);
  await import(MAIN);
}

function tell(message: FromStandby): void {
  process.send?.(message);
}
