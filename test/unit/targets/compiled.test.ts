/** Targets have their schemas compiled: what is compiled says of every item what the schema itself says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { TARGETS } from '../../../src/targets/index.ts';

/** The same definition, made anew: not compiled. */
function uncompiled(schema: z.ZodType): z.ZodType {
  const Schema = schema.constructor as new (definition: unknown) => z.ZodType;
  return new Schema(schema.def);
}

const text = fc.oneof(
  fc.constantFrom(
    'a@b.cd',
    ' A@B.CD ',
    'a@b',
    '',
    ' ',
    'active',
    'ACTIVE',
    'create',
    'update',
    'delete',
    '17',
    '-1',
    '151',
    '\0',
    '\ud800',
    '..',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.nat(300).map((length) => 'x'.repeat(length)),
);
const value = fc.oneof(text, fc.constantFrom(null, true, 0, 1, -1, 1.5, 17, 151, 1e300), fc.jsonValue({ maxDepth: 2 }));
const NAMES = [
  'email',
  'name',
  'phone',
  'company',
  'status',
  'age',
  'city',
  'type',
  'id',
  'product',
  'payload',
  '__proto__',
  'constructor',
  'toString',
];
const item = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 8 })
      .map((members) => JSON.parse(JSON.stringify(members))),
  },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        email: fc.constantFrom('a@b.cd', ' Ä@B.CD '),
        name: fc.oneof(fc.constantFrom('Ada', ' ', null), value),
        age: fc.oneof(fc.constantFrom(17, '17', '', null), value),
        status: fc.oneof(fc.constantFrom('active', 'ACTIVE ', '', null), value),
        city: value,
      },
      { requiredKeys: ['email'] },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record(
      { type: fc.constantFrom('create', 'update', 'delete'), id: value, product: fc.constant({ a: 1 }) },
      { requiredKeys: ['type'] },
    ),
  },
  { weight: 1, arbitrary: value },
);

describe('a compiled schema', () => {
  it.each(TARGETS.map((target) => [target.name, target.item] as const))(
    'of %s says what the schema says',
    (_, schema) => {
      const plain = uncompiled(schema);
      let valid = 0;
      fc.assert(
        fc.property(item, (candidate) => {
          const compiled = schema.safeParse(candidate);
          const interpreted = plain.safeParse(candidate);
          expect(compiled.success).toBe(interpreted.success);
          expect(compiled.data).toEqual(interpreted.data);
          expect(compiled.error?.issues).toEqual(interpreted.error?.issues);
          if (compiled.success) valid++;
        }),
        { numRuns: 2_000 },
      );
      expect(valid).toBeGreaterThan(50);
    },
  );
});
