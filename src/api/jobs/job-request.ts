/** Reads `POST /jobs`: who is to do the job, and its payload exactly as it came. */
import { isUtf8 } from 'node:buffer';
import { TrancheError } from '../../model/errors.ts';

export const JOB_VENDORS = ['sync', 'async'] as const;
export type JobVendor = (typeof JOB_VENDORS)[number];

export interface JobRequest {
  readonly vendor: JobVendor;
  /** JSON text, digit for digit. */
  readonly payload: string;
}

/** Throws `malformed_body` that says where, `invalid_policy` that says what. Other members are ignored. */
export function readJobRequest(body: Buffer): JobRequest {
  if (!isUtf8(body)) throw new TrancheError('malformed_body', 'The body is not valid UTF-8.');
  const text = body.toString('utf8').replace(/^\ufeff/, '');
  const job = parse(text);
  if (typeof job !== 'object' || job === null || Array.isArray(job)) {
    throw new TrancheError('malformed_body', 'The body must be one JSON object.');
  }
  const members = memberTexts(text);
  const payload = members.get('payload');
  const vendor = JOB_VENDORS.find((name) => name === JSON.parse(members.get('vendor') ?? 'null'));
  const errors = [
    ...(payload === undefined ? [fault('payload', 'payload is required; any JSON value')] : []),
    ...(vendor === undefined ? [fault('vendor', `vendor must be one of ${JOB_VENDORS.join(', ')}`)] : []),
  ];
  if (payload !== undefined && vendor !== undefined) return { vendor, payload };
  const detail = errors.map((error) => error.detail).join('; ');
  throw new TrancheError('invalid_policy', detail, { errors, allowed: JOB_VENDORS });
}

function fault(parameter: string, detail: string) {
  return { code: 'invalid_policy', detail, parameter };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const offset = Number(/position (\d+)/.exec(String(cause))?.[1] ?? text.length);
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - before.lastIndexOf('\n');
    const message = `The body is not valid JSON at line ${line}, column ${column}.`;
    throw new TrancheError('malformed_body', message, { offset: Buffer.byteLength(before), line, column }, { cause });
  }
}

/** The members of a JSON object as texts, the last of a name. The text has been parsed before: it is valid. */
function memberTexts(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text[at] === '"') {
    const nameEnd = afterString(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = afterValue(text, start);
    members.set(name, text.slice(start, end));
    at = skipSpace(text, skipSpace(text, end) + 1);
  }
  return members;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (' \t\n\r'.includes(text[at] ?? 'x')) at++;
  return at;
}

/** `from` is the opening quote. */
function afterString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function afterValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; ) {
    const char = text[at] ?? '';
    if (char === '"') at = afterString(text, at);
    else if (depth === 0 && ' \t\n\r,}]'.includes(char)) return at;
    else {
      if (char === '{' || char === '[') depth++;
      else if (char === '}' || char === ']') depth--;
      at++;
    }
    if (depth === 0 && '"}]'.includes(char)) return at;
  }
  return text.length;
}
