/** The contract of logging: what happened, and the facts as data. Rooms take a `Log`; `src/log.ts` writes it. */

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `message` is a constant sentence; what varies goes into `facts` (an `Error` among them is written with its causes). Never throws. */
export type Log = (level: LogLevel, message: string, facts?: Readonly<Record<string, unknown>>) => void;

/** For tests and tools that want silence. */
export const noLog: Log = () => {};
