/** What we take in from others: the real lockfile keeps the rules, and each rule finds its breach. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  judgeAudit,
  type LockedPackage,
  type Lockfile,
  lintLockfile,
  type Manifest,
} from '../../../scripts/dependencies.ts';

const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8'));
const SOUND: LockedPackage = { version: '1.2.3', integrity: `sha512-${'A'.repeat(86)}==`, license: 'MIT' };

function faultsOf(entry: LockedPackage, path = 'node_modules/a', manifest: Manifest = {}): string[] {
  return lintLockfile({ lockfileVersion: 3, packages: { '': {}, [path]: entry } }, manifest);
}

describe('the lockfile', () => {
  it('holds nothing but hashed, licensed packages of the registry that run no script of their own', () => {
    const lockfile = read<Lockfile>('package-lock.json');
    expect(Object.keys(lockfile.packages).length).toBeGreaterThan(100);
    expect(lintLockfile(lockfile, read<Manifest>('package.json'))).toEqual([]);
  });

  it('may hold a package like this one', () => {
    expect(faultsOf(SOUND)).toEqual([]);
    expect(faultsOf({ ...SOUND, resolved: 'https://registry.example/a/-/a-1.2.3.tgz' })).toEqual([]);
    expect(faultsOf({ ...SOUND, license: '(GPL-3.0 OR MIT)' })).toEqual([]);
  });

  it.each<[string, LockedPackage]>([
    ['without a hash', { ...SOUND, integrity: '' }],
    ['with a weak hash', { ...SOUND, integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }],
    ['over plain http', { ...SOUND, resolved: 'http://registry.example/a.tgz' }],
    ['with a password', { ...SOUND, resolved: 'https://u:p@registry.example/a.tgz' }],
    ['from git', { ...SOUND, resolved: 'git+ssh://git@example.com/a.git#0123' }],
    ['from a file', { ...SOUND, resolved: 'file:../a' }],
    ['that is a link', { ...SOUND, link: true }],
    ['without a version', { ...SOUND, version: 'latest' }],
    ['that runs a script when installed', { ...SOUND, hasInstallScript: true }],
    ['of a licence that we have not agreed to', { ...SOUND, license: 'AGPL-3.0' }],
    ['of two licences, one not agreed to', { ...SOUND, license: 'MIT AND GPL-3.0' }],
    ['without a licence', { version: '1.2.3', integrity: `sha512-${'A'.repeat(86)}==` }],
  ])('holds no package %s', (_, entry) => {
    expect(faultsOf(entry)).toHaveLength(1);
  });

  it('holds no package from beside the registry', () => {
    expect(faultsOf(SOUND, '../elsewhere')).toHaveLength(1);
  });

  it.each([
    '^1.2.3',
    'latest',
    '*',
    'git+https://example.com/a.git',
    'file:../a',
    'npm:b@1.2.3',
    'https://example.com/a.tgz',
  ])('goes with a manifest that names exact versions, not %s', (range) => {
    expect(faultsOf(SOUND, 'node_modules/a', { dependencies: { a: range } }).length).toBeGreaterThan(0);
    expect(faultsOf(SOUND, 'node_modules/a', { dependencies: { a: '1.2.3' } })).toEqual([]);
  });

  it('goes with a manifest of the same versions', () => {
    expect(faultsOf(SOUND, 'node_modules/a', { devDependencies: { a: '1.2.4' } })).toHaveLength(1);
  });
});

describe('the audit', () => {
  const reportOf = (severity: string | null) =>
    JSON.stringify({ auditReportVersion: 2, vulnerabilities: severity === null ? {} : { a: { name: 'a', severity } } });

  it.each<[string | null, boolean, string]>([
    [null, true, 'audit ok'],
    ['low', true, 'audit ok, but known: a (low)'],
    ['moderate', true, 'audit ok, but known: a (moderate)'],
    ['high', false, 'audit FAILED: a (high)'],
    ['critical', false, 'audit FAILED: a (critical)'],
  ])('of a flaw of severity %s', (severity, ok, says) => {
    expect(judgeAudit(reportOf(severity))).toEqual({ ok, says });
  });

  it('says that it was skipped, and why, where nobody could be asked', () => {
    const refused = { message: '405 Method Not Allowed - POST https://registry.example/bulk', statusCode: 405 };
    expect(judgeAudit(JSON.stringify(refused))).toEqual({ ok: true, says: 'audit skipped: 405 Method Not Allowed' });
    const offline = { error: { code: 'ENOTFOUND', summary: 'request to https://registry.example failed' } };
    expect(judgeAudit(JSON.stringify(offline))).toEqual({ ok: true, says: 'audit skipped: request to https' });
    for (const output of ['', 'npm error', '[]', 'null']) {
      expect(judgeAudit(output)).toEqual({ ok: true, says: 'audit skipped: npm gave no report' });
    }
  });
});
