/** Which fault is planted in this process, and the budget of how often it shows. */

export const PLANTED_FAULTS = [
  'lost-segment',
  'doubled-effect',
  'slot-used-twice',
  'swallowed-cancel',
  'leaked-account',
] as const;
export type PlantedFault = (typeof PLANTED_FAULTS)[number];

const planted = process.env['PLANTED_FAULT'] ?? '';

export function isPlanted(fault: PlantedFault): boolean {
  return planted === fault;
}

/** Accounts of the run, for the fault that confuses them. */
export const plantedAccounts: readonly string[] = (process.env['PLANTED_ACCOUNTS'] ?? '').split(',');
