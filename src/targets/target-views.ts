/** The targets as clients see them: what each promises, and the JSON Schema of one of its items. */
import { z } from 'zod';
import type { Guarantee } from '../model/plan.ts';
import type { Target } from './target.ts';

export interface TargetView {
  readonly name: string;
  /** What the CSV surface calls one of its items. */
  readonly entity: string;
  readonly guarantee: Guarantee;
  readonly onDoubt: 'resend' | 'unknown';
  readonly vendor: string | null;
  readonly deduplicates: boolean;
  /** JSON Schema (2020-12) of one item as it is sent; what only code can check is left out of it. */
  readonly schema: Readonly<Record<string, unknown>>;
}

export function viewTarget(target: Target): TargetView {
  const { name, entity = name, guarantee, onDoubt, vendor, dedupeBy } = target;
  const schema = z.toJSONSchema(target.item, { io: 'input', unrepresentable: 'any' });
  return { name, entity, guarantee, onDoubt, vendor, deduplicates: dedupeBy !== undefined, schema };
}
