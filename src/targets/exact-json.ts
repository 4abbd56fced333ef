/** Reads an item so that it can be checked as plain data and sent on with every number digit for digit as it came. */

/** `exact` is `value` itself unless a number in it would lose digits; see `TargetItem`. */
export interface ParsedJson {
  readonly value: unknown;
  readonly exact: unknown;
}

/** Throws a SyntaxError like `JSON.parse`. Of duplicate members the last counts; `__proto__` is a member like any other. */
export function parseExact(text: string): ParsedJson {
  const value: unknown = JSON.parse(text);
  return { value, exact: hasRiskyNumber(text) ? withDigits(text) : value };
}

/**
 * Finds every number that a double would write differently, and few others: 16 or more digits, exponents, trailing
 * zeros of a fraction, below 1e-6, and -0. A scan that knows strings: a regular expression takes the `:30.120` of a
 * time for a number and has the item parsed a second time.
 */
function hasRiskyNumber(text: string): boolean {
  let at = 0;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = afterString(text, at + 1);
    else if (char === MINUS || isDigit(char)) {
      const end = afterNumber(text, at);
      if (end < 0) return true;
      at = end;
    } else at += 1;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const SAFE_CHARS_MAX = 15;

function isDigit(char: number): boolean {
  return char >= ZERO && char <= 0x39;
}

function afterString(text: string, start: number): number {
  let at = start;
  for (let char = text.charCodeAt(at); char !== QUOTE && at < text.length; char = text.charCodeAt(at)) {
    at += char === BACKSLASH ? 2 : 1;
  }
  return at + 1;
}

/** -1 where the number is risky. */
function afterNumber(text: string, start: number): number {
  const isNegative = text.charCodeAt(start) === MINUS;
  const first = isNegative ? start + 1 : start;
  let at = first;
  let hasPoint = false;
  let char = text.charCodeAt(at);
  for (; isDigit(char) || char === POINT; char = text.charCodeAt(++at)) hasPoint ||= char === POINT;
  const endsInZero = text.charCodeAt(at - 1) === ZERO;
  // The bit turns E into e.
  if ((char | 0x20) === 0x65 || at - first > SAFE_CHARS_MAX || (hasPoint && endsInZero)) return -1;
  if (isNegative && at - first === 1 && endsInZero) return -1;
  return hasPoint && text.startsWith('0.000000', first) ? -1 : at;
}

function withDigits(text: string): unknown {
  return jsonWithSource.parse(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source
      ? jsonWithSource.rawJSON(context.source)
      : value,
  );
}

/** How deep a JSON text is nested: 0 for a scalar. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (c === 0x7d || c === 0x5d) depth--;
  }
  return deepest;
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
