/** Every promise that a history is judged by. */
import type { Rule } from '../rule.ts';

export const RULES: readonly Rule[] = [];
