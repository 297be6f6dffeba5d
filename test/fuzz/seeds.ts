import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { formatCheckpoint } from '../../src/audit/tree/checkpoint.ts';
import { formatKeyRotation } from '../../src/audit/tree/key-rotation.ts';
import { formatNote, formatVkey, noteSignature } from '../../src/audit/tree/note.ts';
import { formatProof } from '../../src/audit/tree/proof.ts';
import { formatBundle } from '../../src/audit/tree/tiles.ts';
import { encodeHead } from '../../src/backup/header.ts';
import { intentToJson } from '../../src/intent/codec.ts';
import type { Operation } from '../../src/intent/intent.ts';
import { preimageOf } from '../../src/intent/preimage.ts';
import { encodeRlp } from '../../src/intent/rlp.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { canonicalize } from '../../src/jcs.ts';
import { formatShare } from '../../src/keystore/share.ts';
import { encodeWrapped } from '../../src/keystore/wrapped.ts';
import { encodeFrame } from '../../src/signer/link.ts';
import { argumentSeeds, callSeeds } from './sample-calls.ts';

/* `node test/fuzz/seeds.ts` writes the corpora anew: what each format looks like when it is right. */

type Seeds = Readonly<Record<string, string | Uint8Array>>;

const A = `0x${'a1'.repeat(20)}`;
const B = `0x${'b2'.repeat(20)}`;
const WORD = `0x${'01'.padEnd(64, '7')}`;

const market = {
  chainId: 1,
  nonce: 7,
  to: A,
  value: '1000',
  data: '0xa9059cbb',
  gasLimit: 90_000,
  maxFeePerGas: '30',
  maxPriorityFeePerGas: '1',
};
const accessList = [{ address: B, storageKeys: [WORD] }];
const authorizationList = [{ chainId: 1, address: B, nonce: 1, yParity: 1, r: WORD, s: WORD }];
const bodies: Record<string, readonly [Operation, object]> = {
  legacy: [
    'transaction',
    { transaction: { chainId: 1, nonce: 0, to: null, data: '0x6001', gasLimit: 50_000, gasPrice: '20' } },
  ],
  'access-list': [
    'transaction',
    { transaction: { chainId: 5, nonce: 1, to: A, gasLimit: 50_000, gasPrice: '20', accessList } },
  ],
  'fee-market': ['transaction', { transaction: { ...market, accessList } }],
  blob: ['transaction', { transaction: { ...market, maxFeePerBlobGas: '3', blobVersionedHashes: [WORD] } }],
  'set-code': ['transaction', { transaction: { ...market, authorizationList } }],
  message: ['message', { message: 'Hello, Bob! é' }],
  bytes: ['message', { data: '0x00ff' }],
  authorization: ['authorization', { chainId: 1, address: A, nonce: 3 }],
  digest: ['digest', { digest: WORD, purpose: 'rollup-batch' }],
};
const intents = Object.entries(bodies).map(
  ([name, [operation, body]]) => [name, parseIntent(operation, body)] as const,
);

const mail = {
  domain: { name: 'Ether Mail', version: '1', chainId: '1', verifyingContract: A, salt: WORD },
  types: {
    Person: [
      { name: 'name', type: 'string' },
      { name: 'wallets', type: 'address[2]' },
    ],
    Mail: [
      { name: 'from', type: 'Person' },
      { name: 'to', type: 'Person[]' },
      { name: 'contents', type: 'bytes' },
      { name: 'n', type: 'int8' },
    ],
  },
  primaryType: 'Mail',
  message: { from: { name: 'Bob', wallets: [A, B] }, to: [], contents: '0x00', n: '-3' },
};
const permit = {
  domain: { name: 'USD Coin', version: '2', chainId: 1, verifyingContract: A },
  types: {
    Permit: ['address owner', 'address spender', 'uint256 value', 'uint256 nonce', 'uint256 deadline'].map(
      (field) => ({ type: field.split(' ')[0], name: field.split(' ')[1] }),
    ),
  },
  primaryType: 'Permit',
  message: { owner: A, spender: B, value: 5, nonce: 0, deadline: '0xff' },
};

const siwe = [
  'https://app.example.com wants you to sign in with your Ethereum account:',
  '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
  '',
  'I accept the terms.',
  '',
  'URI: https://app.example.com/login',
  'Version: 1',
  'Chain ID: 1',
  'Nonce: 32891756',
  'Issued At: 2026-09-30T16:25:24Z',
].join('\n');

const privateKey = createPrivateKey({
  key: Buffer.alloc(32, 6),
  format: 'raw-private',
  asymmetricKeyType: 'ed25519',
});
const rawKey = createPublicKey(privateKey).export({ format: 'raw-public' });
const origin = 'example.com/log';
const root = Buffer.alloc(32, 3);
const checkpoint = formatCheckpoint({ origin, size: 5, root });
const note = formatNote(checkpoint, [
  noteSignature(origin, rawKey, sign(null, Buffer.from(checkpoint), privateKey)),
]);

const keystore = (kdf: string, kdfparams: object): string =>
  JSON.stringify({
    version: 3,
    id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
    address: A.slice(2),
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: '83'.repeat(16) },
      ciphertext: '5f'.repeat(32),
      mac: '21'.repeat(32),
      kdf,
      kdfparams: { dklen: 32, salt: 'ae'.repeat(32), ...kdfparams },
    },
  });

const entry = {
  epoch: 1,
  index: 4,
  kind: 'sign',
  outcome: 'done',
  time: '2026-01-02T03:04:05.678Z',
  v: 1,
  service: { epoch: 1, version: '0.1.0' },
  limits: [],
  key: { name: 'k', address: A },
  digest: WORD,
  signature: `${WORD}${WORD.slice(2)}1b`,
};
const share = { set: '010203040506', threshold: 2, number: 1, value: Buffer.alloc(32, 5) };
const hash = '0'.repeat(64);

/** Without comments: shorter seeds are faster. */
function example(file: string): string {
  const place = path.resolve(import.meta.dirname, '../../examples/policies', file);
  return readFileSync(place, 'utf8').replaceAll(/^ *#.*\n/gm, '');
}

const CORPORA: Readonly<Record<string, Seeds>> = {
  abi: argumentSeeds(),
  addresses: {
    v6: '2001:db8::1:2%eth0',
    mapped: '::ffff:192.0.2.7',
    network: 'fe80::/10',
    hops: '203.0.113.9, 10.2.3.4,fd00::1',
  },
  backup: {
    whole: encodeHead({
      schema: 1,
      origin,
      vkey: null,
      currentVkey: null,
      epoch: 1,
      seal: null,
      log: { size: 0, root: hash },
      checkpoint: null,
      counts: { keys: 0, keyVersions: 0, principals: 0, credentials: 0, policies: 0 },
      createdAt: '2026-01-02T03:04:05Z',
      version: '0.1.0',
      parts: [
        { name: 'countersign.db', length: 4096, sha256: hash },
        { name: 'seal.key', length: 32, sha256: hash },
      ],
    }),
    newer: 'countersign-backup/v2\n{}\n',
  },
  effects: {
    ...callSeeds(),
    unknown: Buffer.of(255, 1, 2, 3, 4, 5),
    short: Buffer.of(255, 1, 2),
    empty: Buffer.of(255),
  },
  entry: {
    sign: canonicalize(entry),
    text: canonicalize({ a: 'é"\n\u0001', n: [1.5, -0.25, 1e21, true, null, {}] }),
    loose: '{"b":1, "a":2}',
    'long-escape': '{"a":"\\u0008\\u001F\\/"}',
  },
  intent: Object.fromEntries(Object.entries(bodies).map(([name, [, body]]) => [name, JSON.stringify(body)])),
  json: {
    body: '{"a":[1,-2,"x",true,null,{"é":"\\u0041\\ud83d\\ude00"}],"b":{}}',
    twice: '{"a":1,"\\u0061":2}',
    proto: '{"__proto__":{}}',
    number: '[1e5,0.5]',
  },
  keystore: {
    scrypt: keystore('scrypt', { n: 2, r: 8, p: 1 }),
    pbkdf2: keystore('pbkdf2', { c: 2, prf: 'hmac-sha256' }),
    costly: keystore('scrypt', { n: 2 ** 30, r: 8, p: 1 }),
  },
  link: {
    frames: Buffer.concat([
      Buffer.of(3),
      encodeFrame({ kind: 8, id: 1, fields: [Buffer.from('abc'), Buffer.alloc(0)] }),
      encodeFrame({ kind: 129, id: 2, fields: [] }),
    ]),
    cut: Buffer.concat([
      Buffer.of(0),
      encodeFrame({ kind: 1, id: 9, fields: [Buffer.alloc(40, 1)] }).subarray(0, 30),
    ]),
  },
  pattern: {
    simple: 'a(b|c.)*d?\nabcxd',
    syntax: '(?i)[a-f\\d]{2,5}\\pL+$\nA1é',
  },
  policy: {
    suite: example('siwe-login.test.yaml')
      .split(/(?=^ {2}- name: )/m, 4)
      .join(''),
    login: example('siwe-login.yaml'),
    batcher: example('rollup-batcher.yaml'),
  },
  preimage: Object.fromEntries([
    ...intents.map(([name, intent]) => [name, preimageOf(intent)]),
    ['typed-data', preimageOf(parseIntent('typed-data', mail))],
  ]),
  rlp: {
    nested: encodeRlp([Buffer.from('cat'), [Buffer.alloc(0), Buffer.of(1), Buffer.of(0x80)], []]),
    long: encodeRlp([Buffer.alloc(300, 1), Buffer.alloc(56, 2)]),
  },
  router: {
    keys: '/keys?limit=5&after=a',
    both: '/keys/import/sign',
    tile: '/tile/entries/x001/067.p/5',
    absolute: 'http://example.com/tile/0/001',
  },
  secrets: {
    share: formatShare(share),
    mnemonic: 'legal winner thank year wave sausage worth useful legal winner thank yellow',
    path: "m/44'/60'/0'/0/0",
    sealed: Buffer.concat([Buffer.of(1, 0, 0, 0, 1), Buffer.alloc(60, 2)]),
    'wrapped-key': encodeWrapped({ form: 'private-key', privateKey: Buffer.alloc(32, 4) }),
    'wrapped-keystore': encodeWrapped({
      form: 'keystore',
      keystore: Buffer.from('{}'),
      password: Buffer.from('password'),
    }),
    hpke: Buffer.concat([rawKey, Buffer.alloc(64, 1)]),
  },
  siwe: {
    plain: siwe,
    options: `${siwe}\nExpiration Time: 2026-10-30T16:25:24.123+01:00\nNot Before: 2026-09-30t16:25:24z\nRequest ID: a%20b\nResources:\n- ipfs://bafy/\n- urn:x?a=/b#c`,
    lax: siwe.replace('URI', 'uri'),
  },
  tlog: {
    checkpoint,
    note,
    proof: formatProof({
      index: 2,
      path: [root, Buffer.alloc(32, 4)],
      checkpoint: note,
      extra: Buffer.from('x'),
    }),
    rotation: formatKeyRotation({
      size: 5,
      root,
      oldVkey: formatVkey(origin, rawKey),
      newVkey: formatVkey(origin, Buffer.alloc(32, 8)),
    }),
    vkey: formatVkey(origin, rawKey),
    tile: 'x001/x234/067.p/17',
    bundle: Buffer.concat([Buffer.of(2), formatBundle([Buffer.from('{}'), Buffer.from('[]')])]),
  },
  'typed-data': {
    mail: JSON.stringify(mail),
    permit: JSON.stringify(permit),
    canonical: canonicalize(intentToJson(parseIntent('typed-data', mail))),
  },
  yaml: {
    flow: 'a: [1, "x", {b: ~}]\nc: |\n  text\n"d e": >-\n  more\n',
    block: '- a: true\n  ? b\n  : - \'c\'\n    - "\\u00e9"\n# end\n',
    refused: '%YAML 1.2\n---\na: &x 1\nb: *x\nc: !!str 1\n<<: {}\n...\n',
  },
};

for (const [target, seeds] of Object.entries(CORPORA)) {
  const directory = path.join(import.meta.dirname, 'corpus', target);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const [name, bytes] of Object.entries(seeds)) writeFileSync(path.join(directory, name), bytes);
}
