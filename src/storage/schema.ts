/** The service's own tables, in the order in which they came to be; those of targets stand in the targets' files. */
import type { Migration } from '../model/database.ts';

/** Append only: what is released never changes (a process that finds another text under an id refuses it). */
export const CORE_MIGRATIONS: readonly Migration[] = [];
