/** When a call left its worker, as well as the history tells: by its own word, else by its arrival and what held it up. */
import { AFTERMATH_MS, isTouched } from './explain.ts';
import type { Fault, VendorCall } from './history.ts';

/** On one machine, between two processes that have other things to do as well. */
export const NETWORK_MS = 50;

/** The earliest that it can have left. */
export function departedAtMs(call: VendorCall, faults: readonly Fault[]): number {
  if (call.sentAtMs !== null) return call.sentAtMs;
  const promptly = call.at - call.lagMs - NETWORK_MS;
  const holding = faults.filter(({ what, fromMs, toMs }) => {
    const holds = what === 'link_vendor' || what === 'vendor' || what === 'stall';
    return holds && fromMs <= call.at && toMs + AFTERMATH_MS[what] >= promptly;
  });
  return Math.min(promptly, ...holding.map(({ fromMs }) => fromMs));
}

/** True where its arrival says little of when it left: the link stood still, or the vendor's own event loop did. */
export function isHeldUp(call: VendorCall, faults: readonly Fault[], lagMaxMs: number): boolean {
  if (call.lagMs > lagMaxMs) return true;
  return isTouched(faults, ['link_vendor', 'vendor', 'stall'], call.at - NETWORK_MS, call.at);
}
