/** The service's own tables, in the order in which they came to be; those of targets stand in the targets' files. */
import type { Migration } from '../model/database.ts';
import { API_KEY_MIGRATION } from './api-keys.ts';
import { EFFECTS_MIGRATION } from './effects.ts';
import { QUOTA_MIGRATION } from './quotas.ts';

/** Append only: what is released never changes (a process that finds another text under an id refuses it). */
export const CORE_MIGRATIONS: readonly Migration[] = [QUOTA_MIGRATION, API_KEY_MIGRATION, EFFECTS_MIGRATION];
