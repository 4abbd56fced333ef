/** Who may do what: roles, what each permits, and the caller that every request is made by once it is let in. */

/** Each role may do what the one before it may. */
export const ROLES = ['viewer', 'submitter', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/**
 * The one table of permissions: every route names one of them.
 * `read`: status, lists, results, limits. `submit`: new operations. `control`: pause, resume, cancel, amend, retry, purge.
 * `vendors`: who calls a vendor now, by name. `budgets`: to set what a vendor allows.
 * `keys`: API keys. `any_account`: to act for an account that is not the caller's.
 */
export const PERMISSIONS = {
  read: ['viewer', 'submitter', 'operator', 'admin'],
  submit: ['submitter', 'operator', 'admin'],
  control: ['operator', 'admin'],
  vendors: ['operator', 'admin'],
  budgets: ['admin'],
  keys: ['admin'],
  any_account: ['admin'],
} as const satisfies Readonly<Record<string, readonly Role[]>>;
export type Permission = keyof typeof PERMISSIONS;

export interface Caller {
  /** Id of the account that the request acts for (an admin's may be another than the admin's own). */
  readonly account: string;
  /** Who it is, for the audit trail: the token's `sub`, or `key:<id>`. null where nobody signs in. */
  readonly subject: string | null;
  readonly roles: readonly Role[];
}

export function isAllowed(roles: readonly Role[], permission: Permission): boolean {
  const permitted: readonly Role[] = PERMISSIONS[permission];
  return roles.some((role) => permitted.includes(role));
}

export function isRole(word: unknown): word is Role {
  return (ROLES as readonly unknown[]).includes(word);
}

/** What a token's claim says: an array, or words separated by spaces or commas. What is no role of ours is left out. */
export function readRoles(claim: unknown): readonly Role[] {
  const words: readonly unknown[] =
    typeof claim === 'string' ? claim.split(/[\s,]+/) : Array.isArray(claim) ? claim : [];
  return ROLES.filter((role) => words.includes(role));
}
