/** The commands: each asks something of the running service and holds its answer against the model. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import type { Customer } from '../../chaos/crashes/customer.ts';
import type { Lane } from '../../chaos/crashes/lane.ts';
import type { PartMode } from '../../chaos/crashes/part.ts';
import { products } from '../../chaos/crashes/scenarios/bodies.ts';
import type { Answered, RecordedClient } from '../../check/recorded-client.ts';
import { isTaken, type Model, type Modelled, OPERATIONS_MAX, SHOWN, type Verb } from './model.ts';

/** The service, as one account meets it. */
export interface Real {
  readonly lane: Lane;
  readonly client: RecordedClient;
  readonly customer: Customer;
  /** Asks until somebody answers. */
  readonly insist: (ask: () => Promise<Answered>) => Promise<Answered>;
  readonly tag: string;
}

type Command = fc.AsyncCommand<Model, Real>;

const FAR_MS = 3_600_000;
/** Two at a time at 20 ms each: slow enough to be met half-way. */
const QUERY = { concurrency: '2' };

class Submit implements Command {
  readonly items: number;
  readonly bad: boolean;
  readonly scheduled: boolean;
  constructor(items: number, bad: boolean, scheduled: boolean) {
    this.items = items;
    this.bad = bad;
    this.scheduled = scheduled;
  }
  check = ({ operations }: Readonly<Model>) => operations.length < OPERATIONS_MAX;
  async run({ operations }: Model, { customer, tag }: Real): Promise<void> {
    const name = `${tag}-${operations.length}`;
    const every = this.bad ? 5 : 0;
    const scheduledAtMs = Date.now() + FAR_MS;
    const schedule = this.scheduled ? { scheduledAt: new Date(scheduledAtMs).toISOString() } : {};
    const submission = { ...products(name, this.items, every), query: { ...QUERY, ...schedule } };
    const sent = { ...submission, ...(this.scheduled ? { scheduledAtMs } : {}) };
    const id = await customer.submit(sent);
    // The same again is the same operation.
    expect(await customer.submit(sent)).toBe(id);
    const bad = this.bad ? Math.ceil(this.items / every) : 0;
    const standing = this.scheduled ? 'scheduled' : 'open';
    operations.push({ key: id, items: this.items, bad, standing, run: 1, wasCancelled: false, last: null });
  }
  toString = () => `submit(${this.items}${this.bad ? ', some bad' : ''}${this.scheduled ? ', scheduled' : ''})`;
}

class Ask implements Command {
  readonly verb: Verb;
  readonly which: number;
  constructor(verb: Verb, which: number) {
    this.verb = verb;
    this.which = which;
  }
  check = ({ operations }: Readonly<Model>) => operations.length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const operation = chosen(model, this.which);
    const taken = isTaken(this.verb, operation);
    const { status, body } = await real.insist(() => this.ask(operation, real));
    const said = `${this.verb} of what is ${operation.standing} is answered ${status} ${JSON.stringify(body)}`;
    if (status === 410) expect(operation.standing, said).toBe('purged');
    else if (status === 409) {
      expect(taken, said).not.toBe('yes');
      // Only what has ended refuses it where it might have been taken.
      if (taken === 'maybe' && this.verb !== 'purge' && this.verb !== 'retry') await end(operation, real);
    } else {
      expect([200, 202, 204], said).toContain(status);
      expect(taken, said).not.toBe('no');
      await this.follow(operation, real);
    }
    await look(operation, real);
  }
  ask({ key, run }: Modelled, { client }: Real): Promise<Answered> {
    if (this.verb === 'retry') return client.retry(key, { fromRun: run });
    if (this.verb === 'purge') return client.purge(key);
    if (this.verb === 'reschedule')
      return client.amend(key, { scheduledAt: new Date(Date.now() + 1_000).toISOString() });
    return client.control(this.verb, key);
  }
  /** What it led to. */
  async follow(operation: Modelled, real: Real): Promise<void> {
    const { standing, key } = operation;
    if (this.verb === 'purge') operation.standing = 'purged';
    if (this.verb === 'reschedule') await begin(operation, real);
    if (this.verb === 'retry') Object.assign(operation, { standing: 'open', run: operation.run + 1 });
    if (this.verb === 'cancel' && standing !== 'ended') {
      operation.wasCancelled = true;
      await end(operation, real);
    }
    if (this.verb === 'pause' && standing === 'scheduled') operation.standing = 'held';
    if (this.verb === 'resume' && standing === 'held') operation.standing = 'scheduled';
    if (this.verb === 'resume' && standing === 'paused') operation.standing = 'open';
    if (this.verb !== 'pause' || standing !== 'open') return;
    const { state } = await real.customer.until(key, 'paused or ended', (view) => /paused|ended/.test(view.state));
    if (state === 'paused') operation.standing = 'paused';
    else await end(operation, real);
  }
  toString = () => `${this.verb}(${this.which})`;
}

/** Its time comes: what was held is paused then. Until it has begun, though it be due, it may be put off again. */
async function begin(operation: Modelled, { customer }: Real): Promise<void> {
  await customer.until(operation.key, 'begun', ({ startedAt }) => startedAt !== null);
  if (operation.standing === 'held') await customer.until(operation.key, 'paused', ({ state }) => state === 'paused');
  operation.standing = operation.standing === 'held' ? 'paused' : 'open';
}

class Finish implements Command {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check = ({ operations }: Readonly<Model>) => operations.length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const operation = chosen(model, this.which);
    if (operation.standing === 'open') await end(operation, real);
    await look(operation, real);
  }
  toString = () => `finish(${this.which})`;
}

class Crash implements Command {
  readonly part: PartMode;
  constructor(part: PartMode) {
    this.part = part;
  }
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    await real.lane.replace(this.part);
    for (const operation of model.operations) await look(operation, real);
  }
  toString = () => `crash(${this.part})`;
}

function chosen({ operations }: Model, which: number): Modelled {
  const operation = operations[which % operations.length];
  if (operation === undefined) throw new Error('there is no operation');
  return operation;
}

/** Waits for its end and holds the counts against the items. */
export async function end(operation: Modelled, { customer }: Real): Promise<void> {
  const view = await customer.ended(operation.key, operation.run);
  operation.standing = 'ended';
  operation.last = JSON.stringify(view.counts);
  const { succeeded, failed, cancelled, unknown } = view.counts;
  const { items, bad, wasCancelled } = operation;
  if (!wasCancelled)
    expect(view.counts).toMatchObject({ succeeded: items - bad, failed: bad, cancelled: 0, unknown: 0 });
  expect(succeeded + failed + cancelled + unknown).toBe(items);
  expect(succeeded).toBeLessThanOrEqual(items - bad);
}

/** As it is shown now, beside what the model knows. What is not live may be behind, and catches up; what is live may not. */
export async function look(operation: Modelled, { client, customer, insist }: Real): Promise<void> {
  const { key, standing, run, items, last } = operation;
  if (standing === 'purged') {
    expect((await insist(() => client.status(key))).status).toBe(410);
    return;
  }
  const isShown = ({ state }: OperationView) => SHOWN[standing].includes(state);
  const view = await customer.until(key, `${standing}, or live`, (now) => now.live || isShown(now));
  expect(isShown(view), `${key} is ${standing} in the model: ${JSON.stringify(view)}`).toBe(true);
  expect(view).toMatchObject({ run, counts: { total: items } });
  if (standing === 'ended') expect(JSON.stringify(view.counts)).toBe(last);
}

const which = fc.nat({ max: OPERATIONS_MAX - 1 });
const ask = (verb: Verb) => which.map((n): Command => new Ask(verb, n));

/** Every run begins with one: without an operation nothing can be asked. */
export const SUBMIT: fc.Arbitrary<Command> = fc
  .tuple(fc.integer({ min: 1, max: 80 }), fc.boolean(), fc.boolean())
  .map((args) => new Submit(...args));

export const COMMANDS: fc.Arbitrary<Command>[] = [
  SUBMIT,
  ...(['pause', 'resume', 'cancel', 'retry', 'reschedule', 'purge'] as const).map(ask),
  which.map((n) => new Finish(n)),
  fc.constantFrom<PartMode>('api', 'worker').map((part) => new Crash(part)),
];
