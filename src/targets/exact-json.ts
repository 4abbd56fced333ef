/** Reads an item so that it can be checked as plain data and sent on with every number digit for digit as it came. */

/** `exact` is `value` itself unless a number in it would lose digits; see `TargetItem`. */
export interface ParsedJson {
  readonly value: unknown;
  readonly exact: unknown;
}

/** Throws a SyntaxError like `JSON.parse`. Of duplicate members the last counts; `__proto__` is a member like any other. */
export function parseExact(text: string): ParsedJson {
  const value: unknown = JSON.parse(text);
  return { value, exact: RISKY_NUMBER.test(text) ? withDigits(text) : value };
}

/**
 * Finds every number that a double would write differently, and few others (digits inside strings only cost time):
 * 16 or more digits, exponents, trailing zeros of a fraction, below 1e-6, and -0.
 */
const RISKY_NUMBER = /(?:^|[:,[\s])(?:-0(?![\d.])|-?(?:[\d.]{16}|\d[\d.]*[eE]|\d+\.\d*0(?!\d)|0\.000000))/;

function withDigits(text: string): unknown {
  return jsonWithSource.parse(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source
      ? jsonWithSource.rawJSON(context.source)
      : value,
  );
}

/** The digits of a number of `exact`, as they came; null where the value is no number. */
export function digitsOf(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return jsonWithSource.isRawJSON(value) ? JSON.stringify(value) : null;
}

/** An own member of an object of `exact`; undefined where there is none. */
export function memberOf(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}

/** TypeScript's library does not know source text access, which Node has since version 22. */
const jsonWithSource = JSON as unknown as JsonWithSource;
