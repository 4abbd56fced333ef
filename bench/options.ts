/** Reads a scenario's options strictly: an unknown name or a value out of bounds is a fault, never a default. */

export interface OptionSpec {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  /** What it sets, unit included. */
  readonly doc: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;
export type OptionValues<Specs extends OptionSpecs> = { readonly [Name in keyof Specs]: number };

/** `['--items', '1000']` or `['--items=1000']`; names in kebab-case. Throws an Error that lists every fault. */
export function readOptions<Specs extends OptionSpecs>(specs: Specs, args: readonly string[]): OptionValues<Specs> {
  const faults: string[] = [];
  const values: Record<string, number> = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, spec.fallback]),
  );
  const given = new Set<string>();
  for (const [flag, text] of pairs(args)) {
    const name = flag.startsWith('--') ? toCamelCase(flag.slice(2)) : '';
    const spec = specs[name];
    if (spec === undefined) faults.push(`${flag} is no option of this scenario`);
    else if (given.has(name)) faults.push(`${flag} is given twice`);
    else values[name] = readNumber(flag, text, spec, faults);
    given.add(name);
  }
  if (faults.length > 0) throw new Error(`${faults.join('; ')}. Options: ${describeOptions(specs)}`);
  return asValues<Specs>(values);
}

export function describeOptions(specs: OptionSpecs): string {
  return Object.entries(specs)
    .map(([name, { fallback, min, max, doc }]) => `--${toKebabCase(name)} ${fallback} (${min}–${max}: ${doc})`)
    .join(', ');
}

function* pairs(args: readonly string[]): Generator<readonly [string, string | undefined]> {
  for (let position = 0; position < args.length; position += 1) {
    const arg = args[position] ?? '';
    const equals = arg.indexOf('=');
    if (equals !== -1) yield [arg.slice(0, equals), arg.slice(equals + 1)];
    else {
      yield [arg, args[position + 1]];
      position += 1;
    }
  }
}

function readNumber(flag: string, text: string | undefined, { fallback, min, max }: OptionSpec, faults: string[]) {
  const value = Number(text);
  if (text !== undefined && /^\d{1,12}$/.test(text) && value >= min && value <= max) return value;
  faults.push(`${flag} ${text ?? ''} must be a whole number from ${min} to ${max}`);
  return fallback;
}

function toCamelCase(kebab: string): string {
  return kebab.replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function toKebabCase(camel: string): string {
  return camel.replace(/[A-Z]|(?<=[a-z])\d+/g, (part) => `-${part.toLowerCase()}`);
}

/** Holds because `values` begins with every name of the specs and gains none. */
function asValues<Specs extends OptionSpecs>(values: Record<string, number>): OptionValues<Specs> {
  return values as OptionValues<Specs>;
}
