/** Writes the log: one JSON line per event on stderr, so that stdout stays free for the `ready` line. */
import { LOG_LEVELS, type Log, type LogLevel } from './model/log.ts';

export interface LogOptions {
  readonly level: LogLevel;
  /** Which process speaks: `api`, `worker`, … */
  readonly part: string;
  /** Default: stderr. */
  readonly write?: (line: string) => void;
}

const CAUSES_MAX = 5;
const FRAMES_MAX = 5;
/** Characters of one text in a line: a client's, a vendor's or a driver's words must not fill the disk. */
const TEXT_CHARS_MAX = 2_000;
const LINE_CHARS_MAX = 64 * 1024;
/** Terminals obey some of them (C1, DEL), others reorder or break what is read; JSON leaves all of them as they are. */
const UNSEEN = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
let stderrGuarded = false;

export function createLog({ level, part, write = writeToStderr }: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(level);
  return (lineLevel, message, facts = {}) => {
    if (LOG_LEVELS.indexOf(lineLevel) < least) return;
    const line = { at: new Date().toISOString(), level: lineLevel, part, message, ...facts };
    write(`${stringify(line)}\n`);
  };
}

/** A fact that cannot be written (a cycle, a throwing getter) must not take the process down. */
function stringify(line: Readonly<Record<string, unknown>>): string {
  const { at, level, part } = line;
  const message = String(line['message']).slice(0, TEXT_CHARS_MAX);
  try {
    const text = JSON.stringify(line, (_, value: unknown) => shown(value));
    const bounded =
      text.length <= LINE_CHARS_MAX ? text : JSON.stringify({ at, level, part, message, facts: 'too long' });
    return bounded.replace(UNSEEN, toEscape);
  } catch {
    return JSON.stringify({ at, level, part, message, facts: 'could not be written' }).replace(UNSEEN, toEscape);
  }
}

function shown(value: unknown): unknown {
  if (value instanceof Error) return describeError(value, CAUSES_MAX);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'string' || value.length <= TEXT_CHARS_MAX) return value;
  return `${value.slice(0, TEXT_CHARS_MAX)}… (${value.length} characters)`;
}

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function describeError(error: Error, causesLeft: number): Record<string, unknown> {
  const { name, stack } = error;
  const code = 'code' in error ? { code: error.code } : {};
  const cause =
    error.cause instanceof Error && causesLeft > 0 ? { cause: describeError(error.cause, causesLeft - 1) } : {};
  return {
    name,
    message: withoutContents(error),
    ...code,
    stack: stack
      ?.split('\n')
      .map((frame) => frame.trim())
      .filter((frame) => frame.startsWith('at '))
      .slice(0, FRAMES_MAX),
    ...cause,
  };
}

/** V8 quotes the text that is no JSON, PostgreSQL the value that does not fit: both are a client's data. */
function withoutContents({ name, message }: Error): string {
  const isJson = name === 'SyntaxError';
  const from = isJson ? message.indexOf('"') : message.indexOf(': "') + 2;
  const to = message.lastIndexOf('"');
  if (from < (isJson ? 0 : 2) || to <= from || (!isJson && to < message.length - 1)) return message;
  return `${message.slice(0, from)}"…"${message.slice(to + 1)}`;
}

/** A reader of our stderr that went away is no reason to die. */
function writeToStderr(line: string): void {
  if (!stderrGuarded) {
    stderrGuarded = true;
    process.stderr.on('error', () => {});
  }
  process.stderr.write(line);
}
