/** The life of one operation as its client lives it: submitted (again, where no answer came), watched, steered, retried. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answered, RecordedClient } from '../../check/recorded-client.ts';
import type { Random } from '../random.ts';
import { type Body, drawBody } from './bodies.ts';

export interface LifeDeps {
  /** Of one account, at every API process. */
  readonly clients: readonly RecordedClient[];
  readonly random: Random;
  /** Aborted: live on to the end, but begin nothing that could be left out. */
  readonly closing: AbortSignal;
  /** Aborted: end at once. */
  readonly stopped: AbortSignal;
  readonly canPurge: boolean;
  readonly onContacts: (operation: { account: string; id: string; tag: string; items: number }) => void;
}

const ATTEMPTS_MAX = 40;

export async function liveOneOperation(deps: LifeDeps): Promise<void> {
  const { random } = deps;
  const body = drawBody(random, deps.clients[0]?.account ?? '');
  const fate = random.weighted({ watch: 40, pause: 16, cancel: 10, amend: 10, schedule: 10, leave: 14 });
  const wantsRetry = random.chance(0.4);
  const wantsPurge = deps.canPurge && random.chance(0.12);
  const id = await submit(deps, body, fate === 'schedule');
  if (id === null) return;
  if (body.tag !== null)
    deps.onContacts({ account: deps.clients[0]?.account ?? '', id, tag: body.tag, items: body.items });
  await lookElsewhere(deps, body.surface ?? 'v1', id);
  if (fate === 'leave' || body.surface === 'jobs') return;
  await steer(deps, id, fate);
  if (!(await untilState(deps, id, ['ended']))) return;
  await oneOf(deps).download(id);
  if (wantsRetry) await retry(deps, id);
  if (wantsPurge && (await untilState(deps, id, ['ended']))) await surely(deps, () => oneOf(deps).purge(id));
}

function oneOf({ clients, random }: LifeDeps): RecordedClient {
  return random.pick(clients);
}

const DOORS = { 'product-bulk': '/product/bulk/status/', 'bulk-actions': '/bulk-actions/', jobs: '/jobs/' } as const;

/** By the door that it came in by, a few times. */
async function lookElsewhere(deps: LifeDeps, surface: NonNullable<Body['surface']>, id: string): Promise<void> {
  if (surface === 'v1') return;
  for (let times = deps.random.whole(1, 3); times > 0; times -= 1) {
    await wait(deps, deps.random.between(200, 2_000));
    await oneOf(deps).ask('GET', `${DOORS[surface]}${id}`, { action: 'look', id });
  }
}

/** Null where it is not known to have been accepted. */
async function submit(deps: LifeDeps, { tag: _tag, ...body }: Body, later: boolean): Promise<string | null> {
  const { random, clients } = deps;
  const manner = random.weighted({ plain: 60, together: 15, repeated: 10, changed: 7, keyless: 8 });
  const key = manner === 'keyless' ? null : `op-${random.whole(1, 2 ** 40).toString(36)}`;
  const scheduledAtMs = Date.now() + random.whole(2_000, 9_000);
  const scheduled =
    later && (body.surface ?? 'v1') === 'v1'
      ? { scheduledAtMs, query: { ...body.query, scheduledAt: new Date(scheduledAtMs).toISOString() } }
      : {};
  const submission = { ...body, ...scheduled, key };
  const send = () => oneOf(deps).submit(submission);
  if (manner === 'together') await Promise.all(clients.map((client) => client.submit(submission)));
  const answer = key === null ? await send() : await surely(deps, send);
  const accepted = answer !== null && answer.status !== null && answer.status < 300;
  if (manner === 'repeated') await send();
  if (manner === 'changed' && accepted) await oneOf(deps).submit({ ...submission, ...otherPayload(body) });
  return accepted ? answer.operationId : null;
}

/** The same but for one word, where there is one of ours in it. */
function otherPayload(body: Omit<Body, 'tag'>): Pick<Body, 'body'> {
  return { body: body.body.toString().replace(/mark:[a-z0-9-]+:/, '$& other') };
}

async function steer(deps: LifeDeps, id: string, fate: string): Promise<void> {
  const { random } = deps;
  await wait(deps, random.between(0, 4_000));
  if (fate === 'pause') {
    const held = await surely(deps, () => oneOf(deps).control('pause', id));
    if (held === null || held.status === null || held.status >= 300) return;
    await untilState(deps, id, ['paused', 'ended'], 20_000);
    await wait(deps, random.between(300, 3_000));
    await surely(deps, () => oneOf(deps).control(random.chance(0.85) ? 'resume' : 'cancel', id));
  }
  if (fate === 'cancel') await surely(deps, () => oneOf(deps).control('cancel', id));
  if (fate === 'amend') {
    const change = random.pick([{ concurrency: random.whole(1, 40) }, { callsPerSecond: 50 }, { priority: 1 }]);
    await surely(deps, () => oneOf(deps).amend(id, change));
  }
  if (fate === 'schedule' && random.chance(0.5)) {
    const scheduledAt = new Date(Date.now() + random.whole(500, 6_000)).toISOString();
    await oneOf(deps).amend(id, { scheduledAt });
  }
}

async function retry(deps: LifeDeps, id: string): Promise<void> {
  const { random } = deps;
  const outcomes = random.pick([
    ['failed'],
    ['unknown'],
    ['failed', 'unknown'],
    ['failed', 'unknown', 'cancelled'],
  ] as const);
  const begun = await surely(deps, () => oneOf(deps).retry(id, { fromRun: 1, outcomes }));
  if (begun === null || begun.status === null || begun.status >= 300) return;
  if (random.chance(0.3)) await oneOf(deps).retry(id, { fromRun: 1, outcomes });
  if (await untilState(deps, id, ['ended'])) await oneOf(deps).download(id);
}

/** Again, here or there, until there is a definite answer. Null where there was none. */
async function surely(deps: LifeDeps, send: () => Promise<Answered>): Promise<Answered | null> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX && !deps.stopped.aborted; attempt += 1) {
    const answer = await send();
    const definite = answer.status !== null && answer.status < 500 && answer.status !== 429;
    if (definite) return answer;
    await wait(deps, deps.random.between(100, 1_500));
  }
  return null;
}

/** False where it was not seen in time. */
async function untilState(deps: LifeDeps, id: string, states: readonly string[], withinMs = 600_000): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline && !deps.stopped.aborted) {
    const { sights, status } = await oneOf(deps).status(id);
    const state = sights[0]?.state ?? null;
    if (state !== null && states.includes(state)) return true;
    if (status === 404 || status === 410) return false;
    await wait(deps, deps.random.between(300, 1_800));
  }
  return false;
}

async function wait({ stopped }: LifeDeps, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal: stopped }).catch(() => undefined);
}
