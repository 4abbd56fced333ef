/** The vendor's state: what its products are after every effect, and how many effects each has seen. */
import type { StoredAnswer } from './key-memory.ts';

/** A products call that may be executed. `body` is null where none was sent. */
export interface ProductCall {
  readonly method: 'POST' | 'PATCH' | 'DELETE';
  /** The id of the path; null for POST. */
  readonly id: string | null;
  readonly body: string | null;
}

/** One line of `GET /products`. */
export interface ProductRow {
  readonly id: string;
  readonly product: unknown;
  /** Effects applied to it. */
  readonly version: number;
  /** Effects that were the first under their key: lower than `version` where an effect was doubled. */
  readonly appliedKeys: number;
  readonly deleted: boolean;
}

export interface Execution {
  readonly answer: StoredAnswer;
  /** The product that the effect is on; null where the call had none. */
  readonly touched: TouchedProduct | null;
}

export interface TouchedProduct {
  text: string;
  version: number;
  appliedKeys: number;
  deleted: boolean;
}

export interface ProductRules {
  readonly strict: boolean;
  readonly rejectNames: readonly string[];
}

export interface ProductStore {
  execute(call: ProductCall, rules: ProductRules): Execution;
  get(id: string): ProductRow | null;
  rows(): Generator<ProductRow>;
  clear(): void;
}

/** Products are kept as JSON text, so every number stays digit for digit what the caller sent. */
export function createProductStore(): ProductStore {
  const products = new Map<string, TouchedProduct>();
  let created = 0;

  function touch(id: string, text: string): TouchedProduct {
    const known = products.get(id);
    if (known === undefined) {
      const product = { text, version: 1, appliedKeys: 0, deleted: false };
      products.set(id, product);
      return product;
    }
    known.version += 1;
    return known;
  }

  function create(body: string, given: string | null, strict: boolean): Execution {
    if (given !== null && strict && products.get(given)?.deleted === false) {
      return refuse(409, 'product_exists', `product ${given} exists`);
    }
    const id = given ?? `p_${++created}`;
    const text = given === null ? withId(id, body) : body;
    const product = touch(id, text);
    product.text = text;
    product.deleted = false;
    return { answer: { status: 201, body: text }, touched: product };
  }

  function update(id: string, body: string): Execution {
    const before = products.get(id);
    const merged = before === undefined || before.deleted ? body : mergeTexts(before.text, body);
    const product = touch(id, merged);
    product.text = merged;
    product.deleted = false;
    return {
      answer: { status: 200, body: `{"id":${JSON.stringify(id)},"version":${product.version}}` },
      touched: product,
    };
  }

  function remove(id: string): Execution {
    const product = touch(id, '{}');
    product.deleted = true;
    return { answer: { status: 204, body: '' }, touched: product };
  }

  return {
    execute(call, rules) {
      const known = call.id === null ? undefined : products.get(call.id);
      if (call.id !== null && rules.strict && (known === undefined || known.deleted)) {
        return refuse(404, 'product_not_found', `there is no product ${call.id}`);
      }
      if (call.method === 'DELETE') return remove(call.id ?? '');
      const product = parseObject(call.body);
      if (product === null) return refuse(400, 'malformed_body', 'the body must be a JSON object');
      const refusal = refusalOf(product['name'], call, rules);
      if (refusal !== null) return refusal;
      const body = (call.body ?? '').trim();
      if (call.id !== null) return update(call.id, body);
      return create(body, Object.hasOwn(product, 'id') ? idOf(body) : null, rules.strict);
    },
    get(id) {
      const product = products.get(id);
      return product === undefined ? null : toRow(id, product);
    },
    *rows() {
      for (const [id, product] of products) yield toRow(id, product);
    },
    clear: () => products.clear(),
  };
}

function refusalOf(name: unknown, call: ProductCall, { strict, rejectNames }: ProductRules): Execution | null {
  if (strict && call.id === null && typeof name !== 'string') return refuse(422, 'name_required', 'name is required');
  if (typeof name !== 'string' || !rejectNames.includes(name)) return null;
  return refuse(422, 'name_rejected', `name ${name} is not accepted`);
}

function refuse(status: number, code: string, message: string): Execution {
  return { answer: { status, body: JSON.stringify({ code, message }) }, touched: null };
}

function toRow(id: string, product: TouchedProduct): ProductRow {
  const { text, version, appliedKeys, deleted } = product;
  return { id, product: parseDigits(text), version, appliedKeys, deleted };
}

function parseObject(body: string | null): Readonly<Record<string, unknown>> | null {
  if (body === null) return null;
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withId(id: string, body: string): string {
  const rest = body.slice(1).trimStart();
  return rest === '}' ? `{"id":"${id}"}` : `{"id":"${id}",${rest}`;
}

/** The `id` member as text: a number's digits as sent, a string's content, anything else as JSON. */
function idOf(body: string): string {
  const product = parseDigits(body);
  const id = isObject(product) ? product['id'] : null;
  return typeof id === 'string' ? id : JSON.stringify(id);
}

/** Spread defines members and never runs a `__proto__` setter. */
function mergeTexts(before: string, change: string): string {
  const product = parseDigits(before);
  const members = parseDigits(change);
  return JSON.stringify({ ...(isObject(product) ? product : {}), ...(isObject(members) ? members : {}) });
}

interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

/** TypeScript's library does not know source text access (Node 22 and later has it). */
const jsonWithSource = JSON as unknown as JsonWithSource;

/** Numbers that a double would change come back as `JSON.rawJSON`, which `JSON.stringify` writes as it was. */
function parseDigits(text: string): unknown {
  return jsonWithSource.parse(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined && String(value) !== context.source
      ? jsonWithSource.rawJSON(context.source)
      : value,
  );
}
