/** The pieces that the table of settings is built from: one setting, and strict schemas from text to value. */
import { z } from 'zod';

export interface Setting<Schema extends z.ZodType<unknown, string>> {
  /** Name of the environment variable. */
  readonly env: string;
  /** What it does, unit included. Markdown, one paragraph. */
  readonly doc: string;
  /** Text → value. Its error message says what is taken. */
  readonly schema: Schema;
  /** As it would stand in the environment; empty = not set. */
  readonly fallback: string;
  /** Never printed or documented with a value. */
  readonly secret?: true;
}

export function setting<Schema extends z.ZodType<unknown, string>>(
  env: string,
  fallback: string,
  schema: Schema,
  doc: string,
): Setting<Schema> {
  return { env, fallback, schema, doc };
}

/** Digits only: `80a`, `1e3`, ` 80` and `-1` are faults, never a number. */
export function whole(min: number, max: number) {
  const wanted = `a whole number from ${min} to ${max}`;
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
    context.addIssue({ code: 'custom', message: `must be ${wanted}` });
    return z.NEVER;
  });
}

export function flag() {
  return z
    .enum(['on', 'off', 'true', 'false'], 'must be on or off')
    .transform((word) => word === 'on' || word === 'true');
}

export function decimal(min: number, max: number) {
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (/^\d{1,9}(\.\d{1,6})?$/.test(text) && value >= min && value <= max) return value;
    context.addIssue({ code: 'custom', message: `must be a number from ${min} to ${max}` });
    return z.NEVER;
  });
}

/** Without user and password: such settings are shown in logs, faults and answers, and nothing would send them. */
export function url(...protocols: readonly string[]) {
  const hasNoPassword = (text: string) => {
    if (!URL.canParse(text)) return true;
    const { username, password } = new URL(text);
    return username === '' && password === '';
  };
  return urlWithPassword(...protocols).refine(hasNoPassword, 'must be a URL without user and password');
}

/** For settings that are `secret`. */
export function urlWithPassword(...protocols: readonly string[]) {
  const wanted = protocols.map((protocol) => `${protocol}//`).join(' or ');
  return z.string().refine((text) => {
    if (text === '') return true;
    return URL.canParse(text) && protocols.includes(new URL(text).protocol);
  }, `must be a URL with ${wanted}`);
}

export const text = () => z.string();
const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;
export const address = () => z.string().refine((it) => it === '' || ADDRESS.test(it), 'must be host:port');
