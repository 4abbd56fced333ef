/** What a rule of the checker is: a pure look at an arranged history that tells of facts seen and promises broken. */
import type { Arranged, OperationSeen } from './arrange.ts';

export interface Violation {
  readonly rule: string;
  /** `<account>/<operation id>`; null where it is of no single operation. */
  readonly operation: string | null;
  readonly text: string;
}

export interface Witness {
  /** So many single facts were looked at. */
  fact(times?: number): void;
  violation(text: string, operation?: OperationSeen): void;
}

export interface Rule {
  readonly name: string;
  readonly check: (arranged: Arranged, witness: Witness) => void;
}
