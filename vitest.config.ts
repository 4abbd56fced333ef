/**
 * Three projects: `unit` needs no service and runs in parallel; `integration` boots real ones, at most two files at a
 * time; `stack` kills whole stacks and measures what happens, so its files have the machine to themselves.
 */
import { defineConfig } from 'vitest/config';

const WHOLE_STACKS = ['stack', 'model', 'check'].map((folder) => `test/integration/${folder}/**`);

export default defineConfig({
  test: {
    teardownTimeout: 30_000,
    projects: [
      {
        test: {
          pool: 'forks',
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        test: {
          pool: 'forks',
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: [...WHOLE_STACKS],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          pool: 'forks',
          name: 'stack',
          include: WHOLE_STACKS.map((folder) => `${folder}/*.test.ts`),
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
