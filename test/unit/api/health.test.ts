import { describe, expect, it } from 'vitest';
import { appOver } from './setup.ts';

const down = async () => ({ ok: false, parts: { temporal: { ok: false, detail: 'unreachable', tookMs: 9 } } });

describe('health', () => {
  it('is alive whatever the parts say', async () => {
    const { app } = appOver({ health: down }, { ready: () => false });
    expect((await app.request('/health/live')).status).toBe(200);
  });

  it.each(['/health', '/health/ready', '/health/detailed'])('%s answers 200 when all is well', async (path) => {
    const answer = await appOver().app.request(path);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ status: 'ok' });
  });

  it.each(['/health', '/health/ready', '/health/detailed'])('%s answers 503 when a part is down', async (path) => {
    const answer = await appOver({ health: down }).app.request(path);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ status: 'unavailable' });
  });

  it('names the part at fault only in detail', async () => {
    const { app } = appOver({ health: down });
    expect(await (await app.request('/health/ready')).text()).not.toContain('temporal');
    expect(await (await app.request('/health/detailed')).json()).toMatchObject({ parts: { temporal: { ok: false } } });
  });

  it('is not ready while it starts or drains', async () => {
    expect((await appOver({}, { ready: () => false }).app.request('/health/ready')).status).toBe(503);
  });

  it('answers 503 where the probe fails or hangs', async () => {
    const failing = appOver({ health: () => Promise.reject(new Error('secret')) });
    const hanging = appOver({ health: () => new Promise(() => {}) }, { limits: { healthTimeoutMs: 5 } });
    for (const { app } of [failing, hanging]) {
      const answer = await app.request('/health/detailed');
      expect(answer.status).toBe(503);
      expect(await answer.text()).not.toContain('secret');
    }
  });
});
