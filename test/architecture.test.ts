import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * Who may import whom. A folder or root module of `src` may import itself and what stands here, nothing else; the
 * reasons are in docs/design/architecture.md.
 */
const FOUNDATION = ['errors', 'bytes', 'jcs', 'schema', 'generations'];
const STARTING = ['files', 'config', 'log', 'metrics', 'bootstrap'];
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  bytes: [],
  keccak: [],
  jcs: ['errors'],
  schema: ['errors'],
  files: [],
  generations: [],
  log: [],
  metrics: [],
  'node-http': [],
  secp256k1: ['bytes'],
  config: ['errors', 'schema', 'access', 'audit', 'rotation'],
  intent: [...FOUNDATION, 'keccak'],
  keystore: [...FOUNDATION, 'files', 'secp256k1'],
  effects: [...FOUNDATION, 'keccak', 'intent'],
  policy: [...FOUNDATION, 'keccak', 'intent', 'effects', 'access'],
  audit: [...FOUNDATION, 'intent', 'node-http', 'secp256k1'],
  access: [...FOUNDATION, 'node-http', 'audit'],
  backup: [...FOUNDATION, 'files', 'keystore', 'policy', 'audit', 'signer'],
  signer: [...FOUNDATION, 'keccak', 'intent', 'effects', 'keystore', 'policy', 'audit', 'secp256k1'],
  approvals: [...FOUNDATION, 'intent', 'effects', 'keystore', 'policy', 'audit', 'access', 'signer'],
  rotation: [...FOUNDATION, 'keystore', 'audit', 'policy', 'signer', 'approvals'],
  http: [
    ...FOUNDATION,
    'node-http',
    'intent',
    'effects',
    'keystore',
    'policy',
    'audit',
    'access',
    'signer',
    'approvals',
    'rotation',
    'backup',
    'log',
    'metrics',
  ],
  storage: [
    ...FOUNDATION,
    'keystore',
    'policy',
    'audit',
    'access',
    'signer',
    'approvals',
    'rotation',
    'backup',
    'http',
  ],
  bootstrap: [...FOUNDATION, 'files', 'config', 'keystore', 'policy', 'audit', 'access', 'signer'],
  composition: [
    ...FOUNDATION,
    'bootstrap',
    'config',
    'log',
    'metrics',
    'keystore',
    'policy',
    'audit',
    'access',
    'signer',
    'approvals',
    'rotation',
    'backup',
    'http',
    'storage',
  ],
  periodic: ['log'],
  main: [...STARTING, 'composition', 'periodic', 'audit', 'policy', 'http'],
  cli: [
    ...FOUNDATION,
    'node-http',
    'backup',
    'config',
    'log',
    'main',
    'intent',
    'policy',
    'audit',
    'storage',
    'files',
    'http',
    'keystore',
  ],
};

/** Where only a little of another folder may be seen: who, of which, and what. */
const SEEN: readonly (readonly [string, string, readonly string[]])[] = [
  // The port that storage implements.
  ['storage', 'http', ['src/http/idempotency.ts']],
  // The shapes and the JSON that a client shares with the server.
  [
    'cli',
    'http',
    [
      'src/http/shapes.ts',
      'src/http/status-shapes.ts',
      'src/http/key-shapes.ts',
      'src/http/rotation-shapes.ts',
      'src/http/json.ts',
    ],
  ],
  // What is encrypted before it is sent, and comes from a mnemonic before that.
  [
    'cli',
    'keystore',
    [
      'src/keystore/hd-path.ts',
      'src/keystore/hpke.ts',
      'src/keystore/keys.ts',
      'src/keystore/mnemonic.ts',
      'src/keystore/seal-file.ts',
      'src/keystore/wrapped.ts',
    ],
  ],
  // The names of the roles, which policies may use.
  ['policy', 'access', ['src/access/roles.ts']],
  // What settings are checked against.
  ['config', 'access', ['src/access/networks.ts', 'src/access/roles.ts']],
  ['config', 'rotation', ['src/rotation/settings.ts']],
  [
    'config',
    'audit',
    ['src/audit/anchors/settings.ts', 'src/audit/sinks/settings.ts', 'src/audit/witness/settings.ts'],
  ],
];

const ROOT = path.resolve(import.meta.dirname, '..');

interface Import {
  readonly file: string;
  readonly target: string;
}

const files = readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `src/${file}`);
const imports = files.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
  return specifiers.map((specifier) => ({
    file,
    target: path.posix.join(path.posix.dirname(file), specifier),
  }));
}

/** `keystore` for src/keystore/kdf.ts, `main` for src/main.ts. */
function unitOf(file: string): string {
  return file.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

/** What is written without an entry: evidence of the log, how far it was sent, encryptions counted ahead, and what is too old to count. */
const BESIDE = [
  'saveCheckpoint',
  'saveCosigned',
  'saveSinkCursors',
  'forgetSinkCursors',
  'saveEncryptions',
  'forgetAnswersBefore',
  'forgetUsageBefore',
];

describe('architecture', () => {
  it('looks at the files there are', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(200);
    expect(new Set(files.map(unitOf))).toEqual(new Set(Object.keys(MAY_IMPORT)));
  });

  it('has every import in the table', () => {
    const wrong = imports
      .filter(({ file, target }) => unitOf(file) !== unitOf(target))
      .filter(({ file, target }) => !(MAY_IMPORT[unitOf(file)] ?? []).includes(unitOf(target)))
      .map(({ file, target }) => `${file} imports ${target}`);
    expect(wrong).toEqual([]);
  });

  it('resolves every relative import to a file', () => {
    expect(imports.filter(({ target }) => !files.includes(target) && target !== 'package.json')).toEqual([]);
  });

  it('builds storage only in the composition root and the command line', () => {
    const users = new Set(
      imports.filter(({ target }) => unitOf(target) === 'storage').map(({ file }) => unitOf(file)),
    );
    expect(users).toContain('composition');
    expect([...users].filter((unit) => !['cli', 'composition', 'storage'].includes(unit))).toEqual([]);
  });

  it.each(SEEN)('lets %s see of %s no more than it shares', (unit, other, seen) => {
    const targets = imports.filter(({ file, target }) => unitOf(file) === unit && unitOf(target) === other);
    expect([...new Set(targets.map(({ target }) => target))].toSorted()).toEqual(seen.toSorted());
  });

  it('keeps the signer process away from everything that it must not reach', () => {
    const reached = reachableFrom('src/signer/process/main.ts');
    expect(reached.size).toBeGreaterThan(10);
    const forbidden = new Set([
      ...STARTING,
      // It hashes by other code than the API process, so that the two check each other.
      'keccak',
      'node-http',
      'storage',
      'http',
      'access',
      'cli',
      'main',
      'composition',
      'policy',
    ]);
    expect([...reached].filter((file) => forbidden.has(unitOf(file)))).toEqual([]);
    for (const file of reached) {
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      expect(text, file).not.toMatch(
        /(?:from |getBuiltinModule\()'node:(?:fs|http|https|dgram|tls|dns|child_process|sqlite)'/,
      );
      expect(text, file).not.toMatch(/process\.env/);
    }
  });

  it('reads the environment in one place', () => {
    const readers = files.filter((file) => /process\.env/.test(readFileSync(path.join(ROOT, file), 'utf8')));
    expect(readers.every((file) => file === 'src/config.ts' || file === 'src/cli/main.ts')).toBe(true);
  });

  it('loads libsecp256k1 in one place, and never the entry that falls back', () => {
    const loaders = files.filter((file) =>
      /(?:\)\(|require\(|from |import\()'(?:secp256k1|elliptic)/.test(read(file)),
    );
    expect(loaders).toEqual(['src/secp256k1.ts']);
    expect(read('src/secp256k1.ts')).toContain("'secp256k1/bindings'");
  });

  it('has a second implementation of the curve for the self-tests alone', () => {
    const others = files.filter((file) => /from '(?:@noble\/(?:secp256k1|curves)|ethers)/.test(read(file)));
    expect(others).toEqual(['src/signer/process/selftest.ts']);
    const users = imports.filter(({ target }) => target === 'src/signer/process/selftest.ts');
    expect(users.map(({ file }) => file)).toEqual(['src/signer/process/main.ts']);
  });

  it('writes in commits of the log, and beside them what is listed here', () => {
    const committing = files.filter((file) => /storage\.(?:commit|nested)\(/.test(read(file)));
    expect(committing).toEqual(['src/audit/log.ts']);
    const beside = [...read('src/storage/sqlite/storage.ts').matchAll(/^ {4}(\w+): .* => atOnce\(/gm)];
    expect(beside.map(([, name]) => name)).toEqual(BESIDE);
    // All of it by way of the log, which writes nothing more once a write has failed.
    const writing = new RegExp(`storage\\.(?:${BESIDE.join('|')})\\(`, 'g');
    const inside = /audit\.writeBeside\(\(\) => (?:\{[^}]*\}|[^\n]*)/g;
    const texts = files.map(read);
    const asked = texts
      .flatMap((text) => text.match(inside) ?? [])
      .flatMap((call) => call.match(writing) ?? []);
    expect(texts.flatMap((text) => text.match(writing) ?? [])).toEqual(asked);
    expect(asked).toHaveLength(BESIDE.length);
  });
});

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

function reachableFrom(start: string): Set<string> {
  const seen = new Set([start]);
  for (const file of seen) {
    for (const { target } of imports.filter((edge) => edge.file === file))
      if (files.includes(target)) seen.add(target);
  }
  return seen;
}
