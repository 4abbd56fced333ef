/** The import law of the rooms (DESIGN §7), and what every file owes its reader. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../src/', import.meta.url));
const LINES_MAX = 300;
/** Files beside the rooms: entry, settings and wiring. They and `embedded` may import anything. */
const TOP_FILES = [
  ...['main.ts', 'deps.ts', 'access-deps.ts', 'config.ts', 'log.ts', 'temporal.ts', 'temporal-admin.ts'],
  ...[
    'crash.ts',
    'diagnosis-settings.ts',
    'setting.ts',
    'settings.ts',
    'access-settings.ts',
    'work-settings.ts',
    'ingest-settings.ts',
    'budget-list.ts',
  ],
];
const FREE_ROOMS = ['', 'embedded'];

/** Room → rooms it may import. `type:` = by `import type` only. */
const LAW: Readonly<Record<string, readonly string[]>> = {
  model: [],
  storage: ['model'],
  vendors: ['model'],
  targets: ['model', 'vendors'],
  ingest: ['model', 'storage'],
  workflows: ['model', 'type:activities'],
  activities: ['model', 'storage', 'targets', 'vendors'],
  operations: ['model', 'ingest', 'storage', 'targets', 'type:workflows'],
  api: ['model', 'operations'],
  worker: ['model', 'activities'],
  'mock-vendor': ['model'],
};

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

interface SourceFile {
  /** From `src`, e.g. `api/server.ts`. */
  readonly path: string;
  /** Empty for the files beside the rooms. */
  readonly room: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^;'"]*?\s+from\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function importsOf(text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const fixed = [...code.matchAll(STATEMENT)].map((match) => ({
    specifier: match[2] ?? '',
    typeOnly: match[1] !== undefined,
  }));
  const dynamic = [...code.matchAll(DYNAMIC)].map((match) => ({ specifier: match[1] ?? '', typeOnly: false }));
  return [...fixed, ...dynamic];
}

function readSource(): SourceFile[] {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  return paths.map((native) => {
    const path = native.replaceAll('\\', '/');
    const text = readFileSync(join(root, path), 'utf8');
    return { path, room: path.includes('/') ? (path.split('/')[0] ?? '') : '', text, imports: importsOf(text) };
  });
}

const files = readSource();

/** Path from `src` of a relative import; null for a package. */
function resolved(from: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return relative(root, join(root, dirname(from.path), specifier)).replaceAll('\\', '/');
}

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

function packageFaults(allowed: (specifier: string, file: SourceFile) => boolean, remedy: string): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter((it) => !it.specifier.startsWith('.') && !allowed(it.specifier, file))
      .map((it) => `src/${file.path} imports ${it.specifier}: ${remedy}`),
  );
}

function lawFaults(file: SourceFile): string[] {
  const law = LAW[file.room];
  if (law === undefined || FREE_ROOMS.includes(file.room)) return [];
  return file.imports.flatMap(({ specifier, typeOnly }) => {
    const path = resolved(file, specifier);
    if (path === null) return [];
    const room = roomOf(path);
    if (room === file.room || law.includes(room) || (typeOnly && law.includes(`type:${room}`))) return [];
    const may = law.length === 0 ? 'nothing of src' : law.join(', ');
    const wanted = room === '' ? `src/${path}` : `the room ${room}`;
    return [
      `src/${file.path} imports ${wanted}; ${file.room} may import ${may}: pass it in from deps.ts, or move what both need to model`,
    ];
  });
}

/** Every way round, as `a → b → a`. Inside a room a type may point back: it is erased, and its reader is in the same room. */
function cycles(): string[] {
  const isEdge = (file: SourceFile, it: Import): boolean =>
    !it.typeOnly || roomOf(resolved(file, it.specifier) ?? '') !== file.room;
  const graph = new Map(
    files.map((file) => [
      file.path,
      file.imports.filter((it) => isEdge(file, it)).map((it) => resolved(file, it.specifier)),
    ]),
  );
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) return void found.push([...trail.slice(at), path].join(' → '));
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) if (next !== null) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const file of files) visit(file.path, []);
  return found;
}

describe('the import law', () => {
  it('reads every form of import', () => {
    const text = [
      "import a from 'a';",
      "import type { B } from './b.ts';",
      "import {\n  c,\n  type D,\n} from '../c.ts';",
      "export * from './e.ts';",
      "export type { F } from './f.ts';",
      "import 'g';",
      "const h = await import('./h.ts');",
      "// import z from 'z';",
      "/** import y from 'y'; */",
    ].join('\n');
    const values = ['a', '../c.ts', './e.ts', 'g', './h.ts'];
    expect(
      importsOf(text)
        .filter((it) => !it.typeOnly)
        .map((it) => it.specifier),
    ).toEqual(values);
    expect(
      importsOf(text)
        .filter((it) => it.typeOnly)
        .map((it) => it.specifier),
    ).toEqual(['./b.ts', './f.ts']);
  });

  it('sees the source', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(40);
  });

  it('has no room and no file beside the rooms that it does not know', () => {
    const rooms = new Set(files.map((file) => file.room).filter((room) => !FREE_ROOMS.includes(room)));
    const beside = files.filter((file) => file.room === '').map((file) => file.path);
    const strange = [
      ...[...rooms].filter((room) => LAW[room] === undefined),
      ...beside.filter((it) => !TOP_FILES.includes(it)),
    ];
    expect(strange, 'show that no room owns the idea, then name the new one in this test').toEqual([]);
  });

  it('lets every room import only what lies below it', () => {
    expect(files.flatMap(lawFaults)).toEqual([]);
  });

  it('has no cycles', () => {
    expect(cycles(), 'move what both need into a third file').toEqual([]);
  });

  it('keeps workflows to their SDK, so that they stay deterministic', () => {
    const remedy = 'a workflow may use @temporalio/workflow only; do it in an activity';
    const allowed = (specifier: string, file: SourceFile) =>
      file.room !== 'workflows' || specifier === '@temporalio/workflow';
    expect(packageFaults(allowed, remedy)).toEqual([]);
  });

  it('keeps the model to itself: workflows bundle it', () => {
    const reached = new Set<string>();
    const follow = (file: SourceFile): void => {
      if (reached.has(file.path)) return;
      reached.add(file.path);
      for (const it of file.imports.filter((one) => !one.typeOnly)) {
        const next = files.find((other) => other.path === resolved(file, it.specifier));
        if (next !== undefined) follow(next);
      }
    };
    for (const file of files.filter((one) => one.room === 'workflows')) follow(file);
    const remedy =
      'workflow code reaches this file, so it may use @temporalio/workflow only; split what workflows need off it';
    const allowed = (specifier: string, file: SourceFile) =>
      !reached.has(file.path) || specifier === '@temporalio/workflow';
    expect(packageFaults(allowed, remedy)).toEqual([]);
  });

  it('keeps Hono to the api', () => {
    const allowed = (specifier: string, file: SourceFile) =>
      file.room === 'api' || !/^(@hono\/|hono($|\/))/.test(specifier);
    expect(packageFaults(allowed, 'only src/api knows HTTP frameworks')).toEqual([]);
  });

  it('reads the environment in config.ts only', () => {
    const readers = files.filter(
      (file) => file.path !== 'config.ts' && /process\.env\b/.test(file.text.replace(/^\s*(\/?\*|\/\/).*$/gm, '')),
    );
    expect(readers.map((file) => `src/${file.path}: add a setting to settings.ts and take it from the config`)).toEqual(
      [],
    );
  });
});

describe('every file', () => {
  it(`has at most ${LINES_MAX} lines`, () => {
    const long = files.filter((file) => file.text.split('\n').length - 1 > LINES_MAX);
    expect(long.map((file) => `src/${file.path} is too long: split it by idea, not by kind`)).toEqual([]);
  });

  it('opens with a sentence that says what it does', () => {
    const silent = files.filter((file) => !/^\/\*\*\s+(\*\s+)?[A-Z`][^*]{15,}/.test(file.text));
    expect(silent.map((file) => `src/${file.path}: begin with /** what it does for the journey */`)).toEqual([]);
  });
});
