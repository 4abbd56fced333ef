/** What a scenario is: options, and a run against a freshly booted stack that ends in one report. */
import { type OptionSpecs, type OptionValues, readOptions } from './options.ts';
import type { Stack } from './stack.ts';

export interface Bench {
  readonly stack: Stack;
  /** Aborted by SIGINT, SIGTERM and the death of who started us. */
  readonly signal: AbortSignal;
  /** Progress, to stderr. */
  readonly tell: (line: string) => void;
}

/** The last line of the output, `scenario` put in front. Every figure is measured in this run. */
export interface Report {
  readonly value: number;
  readonly unit: string;
  /** What `value` is held against: the same work without Tranche, or the promised bound (`floorMeaning` says which). */
  readonly floor: number;
  readonly floorMeaning: string;
  /** value / floor. */
  readonly ratio: number;
  readonly [fact: string]: unknown;
}

export interface Scenario {
  readonly name: string;
  readonly specs: OptionSpecs;
  /** Settings that this scenario's stack differs in. */
  readonly env?: Readonly<Record<string, string>>;
  /** Starts what the stack is to be pointed at. */
  readonly services?: () => Promise<Services>;
  /** Throws where an option is wrong; then nothing was started. */
  prepare(args: readonly string[]): (bench: Bench) => Promise<Report>;
}

/** Servers beside the stack, and the settings that lead to them. */
export interface Services {
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export function defineScenario<Specs extends OptionSpecs>(scenario: {
  readonly name: string;
  readonly specs: Specs;
  readonly env?: Readonly<Record<string, string>>;
  readonly services?: () => Promise<Services>;
  readonly run: (bench: Bench, options: OptionValues<Specs>) => Promise<Report>;
}): Scenario {
  const { name, specs, env, services, run } = scenario;
  return {
    name,
    specs,
    ...(env === undefined ? {} : { env }),
    ...(services === undefined ? {} : { services }),
    prepare(args) {
      const options = readOptions(specs, args);
      return (bench) => run(bench, options);
    },
  };
}
