/** An operation's or a request's failure: a closed code, a public message, facts for the answer; HTTP is the api's business. */

import type { AuditEntry } from './audit.ts';
import type { QuotaName, QuotaStanding } from './quota.ts';
import type { GoneOperation } from './tombstone.ts';

export const ERROR_CODES = [
  'malformed_body',
  'malformed_request',
  'idempotency_key_invalid',
  'unsupported_media_type',
  'unsupported_content_coding',
  'content_too_large',
  'no_items',
  'invalid_header',
  'unsupported_charset',
  'unknown_target',
  'invalid_policy',
  'invalid_field',
  'idempotency_key_reused',
  'invalid_selection',
  'not_found',
  'gone',
  'unauthenticated',
  'forbidden',
  'quota_exceeded',
  'illegal_transition',
  'client_gone',
  'body_timeout',
  'unavailable',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** Facts that an answer may carry beside the message; every member is safe to show. */
export interface ErrorFacts {
  /** 0-based byte offset in the decoded body. */
  readonly offset?: number;
  readonly line?: number;
  readonly column?: number;
  readonly limit?: number;
  readonly unit?: string;
  readonly currentState?: string;
  readonly allowed?: readonly string[];
  readonly retryAfterSeconds?: number;
  /** How the account's limits stand, and which of them the request would go beyond. */
  readonly quotas?: readonly QuotaStanding[];
  readonly violated?: readonly QuotaName[];
  /** RFC 6750 error code, where credentials were given. */
  readonly challenge?: 'invalid_token' | 'insufficient_scope';
  /** The operation that is gone, and (where that was asked for) its audit trail. */
  readonly operation?: GoneOperation;
  readonly audit?: readonly AuditEntry[];
  readonly errors?: readonly { readonly code: string; readonly detail: string; readonly parameter?: string }[];
}

/** `message` is public: it says what is wrong, where, and what the caller can do. `cause` is for the log. */
export class TrancheError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;
  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TrancheError';
    this.code = code;
    this.facts = facts;
  }
}

/** By `code`, not `instanceof`: errors cross module copies in tests and workers. */
export function isTrancheError(error: unknown): error is TrancheError {
  return error instanceof Error && error.name === 'TrancheError' && 'code' in error;
}
