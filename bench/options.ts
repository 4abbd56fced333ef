/** Reads a scenario's options strictly: an unknown name or a value out of bounds is a fault, never a default. */

export interface OptionSpec {
  /** A list is given as `--rates 1,50`. */
  readonly fallback: number | readonly number[];
  readonly min: number;
  readonly max: number;
  /** Without a value it is 1. */
  readonly isFlag?: true;
  /** What it sets, unit included. */
  readonly doc: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;
export type OptionValues<Specs extends OptionSpecs> = {
  readonly [Name in keyof Specs]: Specs[Name]['fallback'] extends number ? number : readonly number[];
};

/** `['--items', '1000']` or `['--items=1000']`; names in kebab-case. Throws an Error that lists every fault. */
export function readOptions<Specs extends OptionSpecs>(specs: Specs, args: readonly string[]): OptionValues<Specs> {
  const faults: string[] = [];
  const values: Record<string, number | readonly number[]> = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, spec.fallback]),
  );
  const given = new Set<string>();
  for (const [flag, text] of pairs(args)) {
    const name = flag.startsWith('--') ? toCamelCase(flag.slice(2)) : '';
    const spec = specs[name];
    if (spec === undefined) faults.push(`${flag} is no option of this scenario`);
    else if (given.has(name)) faults.push(`${flag} is given twice`);
    else values[name] = readValue(flag, text, spec, faults);
    given.add(name);
  }
  if (faults.length > 0) throw new Error(`${faults.join('; ')}. Options: ${describeOptions(specs)}`);
  return asValues<Specs>(values);
}

export function describeOptions(specs: OptionSpecs): string {
  return Object.entries(specs)
    .map(
      ([name, spec]) =>
        `--${toKebabCase(name)}${spec.isFlag ? '' : ` ${spec.fallback}`} (${boundsOf(spec)}${spec.doc})`,
    )
    .join(', ');
}

function* pairs(args: readonly string[]): Generator<readonly [string, string | undefined]> {
  for (let position = 0; position < args.length; position += 1) {
    const arg = args[position] ?? '';
    const equals = arg.indexOf('=');
    if (equals !== -1) yield [arg.slice(0, equals), arg.slice(equals + 1)];
    else {
      const next = args[position + 1];
      const isValue = next !== undefined && !next.startsWith('--');
      yield [arg, isValue ? next : undefined];
      if (isValue) position += 1;
    }
  }
}

function boundsOf({ min, max, isFlag }: OptionSpec): string {
  return isFlag ? '' : `${min}–${max}: `;
}

function readValue(flag: string, text: string | undefined, spec: OptionSpec, faults: string[]) {
  const { fallback, min, max, isFlag } = spec;
  const read = (word: string): number => {
    const value = Number(word);
    return /^\d{1,12}$/.test(word) && value >= min && value <= max ? value : Number.NaN;
  };
  const words = typeof fallback === 'number' ? [text ?? (isFlag ? '1' : '')] : (text ?? '').split(',');
  const values = words.map(read);
  if (!values.some(Number.isNaN)) return typeof fallback === 'number' ? (values[0] ?? fallback) : values;
  const wanted = typeof fallback === 'number' ? 'a whole number' : 'whole numbers, as in 1,50,';
  faults.push(`${flag} ${text ?? ''} must be ${wanted} from ${min} to ${max}`);
  return fallback;
}

function toCamelCase(kebab: string): string {
  return kebab.replace(/-([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function toKebabCase(camel: string): string {
  return camel.replace(/[A-Z]|(?<=[a-z])\d+/g, (part) => `-${part.toLowerCase()}`);
}

/** Holds because `values` begins with every name of the specs and gains none. */
function asValues<Specs extends OptionSpecs>(values: Record<string, number | readonly number[]>): OptionValues<Specs> {
  return values as OptionValues<Specs>;
}
