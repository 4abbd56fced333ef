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
  try {
    return JSON.stringify(line, (_, value: unknown) => {
      if (value instanceof Error) return describeError(value, CAUSES_MAX);
      return typeof value === 'bigint' ? String(value) : value;
    });
  } catch {
    const { at, level, part, message } = line;
    return JSON.stringify({ at, level, part, message, facts: 'could not be written' });
  }
}

function describeError(error: Error, causesLeft: number): Record<string, unknown> {
  const { name, message, stack } = error;
  const code = 'code' in error ? { code: error.code } : {};
  const cause =
    error.cause instanceof Error && causesLeft > 0 ? { cause: describeError(error.cause, causesLeft - 1) } : {};
  return {
    name,
    message,
    ...code,
    stack: stack
      ?.split('\n')
      .slice(1, 6)
      .map((frame) => frame.trim()),
    ...cause,
  };
}

/** A reader of our stderr that went away is no reason to die. */
function writeToStderr(line: string): void {
  if (!stderrGuarded) {
    stderrGuarded = true;
    process.stderr.on('error', () => {});
  }
  process.stderr.write(line);
}
