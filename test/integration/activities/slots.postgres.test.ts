import { describe, it } from 'vitest';
import { NO_POSTGRES, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { testSlots } from './slots.suite.ts';

if (await postgresIsWithinReach()) testSlots('PostgreSQL', () => startPostgres());
else describe('slots on PostgreSQL', () => it.skip(NO_POSTGRES, () => undefined));
