/** `RateLimit` and `RateLimit-Policy` as the IETF draft has them: structured-field lists, one member per limit. */
import type { QuotaStanding } from '../model/quota.ts';

/**
 * None where there is no limit.
 * @example RateLimit-Policy: "submissions";q=5;w=60, "operations";q=10;qu="concurrent-requests"
 * @example RateLimit: "submissions";r=0;t=12, "operations";r=7
 */
export function rateLimitHeaders(standings: readonly QuotaStanding[]): Record<string, string> {
  if (standings.length === 0) return {};
  return {
    RateLimit: standings.map(member).join(', '),
    'RateLimit-Policy': standings.map(policy).join(', '),
  };
}

function member({ name, remaining, resetSeconds }: QuotaStanding): string {
  return `"${name}";r=${remaining}${resetSeconds === null ? '' : `;t=${resetSeconds}`}`;
}

/** `requests` is what the draft takes for granted. */
function policy({ name, limit, unit, windowSeconds }: QuotaStanding): string {
  const quotaUnit = unit === 'requests' ? '' : `;qu="${unit}"`;
  return `"${name}";q=${limit}${quotaUnit}${windowSeconds === null ? '' : `;w=${windowSeconds}`}`;
}
