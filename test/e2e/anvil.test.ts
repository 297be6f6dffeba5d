import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { DatabaseSync } from 'node:sqlite';
import path from 'node:path';
import {
  getCreateAddress,
  JsonRpcProvider,
  keccak256,
  recoverAddress,
  Signature,
  toUtf8Bytes,
  Transaction,
  verifyAuthorization,
  verifyMessage,
  verifyTypedData,
  type TransactionLike,
} from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leafHash } from '../../src/audit/tree/merkle.ts';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  addPrincipal,
  entryOf,
  expectStatus,
  logOf,
  startService,
  until,
  type Client,
  type KeyAnswer,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const CHAIN = 31337;
const GWEI = 10n ** 9n;
const ETHER = 10n ** 18n;
const RECIPIENT = '0x1111111111111111111111111111111111111111';
/** Code is put there before the test; the policy lets the key delegate to it. */
const DELEGATE = '0x2222222222222222222222222222222222222222';
const STRANGER = '0x3333333333333333333333333333333333333333';

/** Returns 42 to whoever calls: PUSH1 42, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN. */
const RUNTIME_CODE = '602a5f5260205ff3';
/** Deploys it: PUSH8 code, PUSH0, MSTORE, PUSH1 8, PUSH1 24, RETURN. */
const INIT_CODE = `0x67${RUNTIME_CODE}5f5260086018f3`;
const FORTY_TWO = `0x${'2a'.padStart(64, '0')}`;

const POLICY = `
apiVersion: countersign/policy/v1
revision: 7
rules:
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: ${CHAIN} }
        - to: { in: ["${RECIPIENT}"] }
        - value: { lte: "1 ether" }
        - maxTotalFee: { lte: "0.05 ether" }
        - blobs: { max: 2 }
        - authorizations: { max: 1, every: { chainId: { eq: ${CHAIN} }, address: { eq: "${DELEGATE}" } } }
  - id: deploy
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: ${CHAIN} }
        - to: { create: true }
        - value: { eq: "0" }
        - maxTotalFee: { lte: "0.05 ether" }
  - id: delegate
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [authorization]
    when:
      all:
        - chainId: { eq: ${CHAIN} }
        - authorizations: { every: { address: { eq: "${DELEGATE}" } } }
  - id: texts
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [message, typed-data]
  - id: rollup
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [digest]
    when: { digest: { purpose: { eq: "rollup-batch" } } }
`;

interface Chain {
  readonly provider: JsonRpcProvider;
  stop(): void;
}

let chain: Chain;
let service: RunningService;
let signer: Client;
let address: string;
/** The nonce of the next transaction. */
let nonce = 0;
/** What the log must hold of each request that was decided, in the order of the requests. */
const decided: {
  readonly requestId: string;
  readonly effect: string;
  readonly outcome: string;
  readonly receipt?: object;
}[] = [];

beforeAll(async () => {
  [chain, service] = await Promise.all([startAnvil(), startService({ policy: POLICY })]);
  ({ client: signer } = await addPrincipal(service, 'backend', ['signer']));
  const key = expectStatus(
    201,
    await service.admin.post<KeyAnswer>('/v1/keys', { name: 'treasury', tags: ['hot'] }),
  );
  address = key.versions[0]!.address;
  await chain.provider.send('anvil_setBalance', [address, `0x${(10n * ETHER).toString(16)}`]);
  await chain.provider.send('anvil_setCode', [DELEGATE, `0x${RUNTIME_CODE}`]);
});

afterAll(async () => {
  chain?.stop();
  await service?.stop();
});

describe('signed by the service, mined by a chain', () => {
  test.each([
    ['legacy (EIP-155)', 0, { gasPrice: `${3n * GWEI}` }],
    [
      'access list (EIP-2930)',
      1,
      {
        gasPrice: `${3n * GWEI}`,
        accessList: [{ address: DELEGATE, storageKeys: [`0x${'00'.repeat(31)}05`] }],
      },
    ],
    ['fee market (EIP-1559)', 2, { maxFeePerGas: `${3n * GWEI}`, maxPriorityFeePerGas: `${GWEI}` }],
  ])('%s', async (_name, type, fees) => {
    const before = await chain.provider.getBalance(RECIPIENT);
    const value = ETHER / 10n + BigInt(type);
    const fields = {
      type,
      chainId: CHAIN,
      nonce: nonce++,
      to: RECIPIENT,
      value: `${value}`,
      gasLimit: 30_000,
      ...fees,
    };
    const answer = await sign('transaction', { transaction: fields });
    expectSameAsEthers(answer, fields);

    const mined = await broadcast(answer);
    expect(mined).toMatchObject({ from: address, status: '0x1', type: `0x${type}`, to: RECIPIENT });
    expect((await chain.provider.getBalance(RECIPIENT)) - before).toBe(value);
  });

  test.each([
    ['', INIT_CODE, 100_000],
    [' that is longer than an audit entry holds', INIT_CODE.padEnd(2 + 2 * 20_000, '0'), 400_000],
  ])('a contract creation%s', async (_name, data, gasLimit) => {
    const created = getCreateAddress({ from: address, nonce }).toLowerCase();
    const fields = { ...feeMarket(), type: 2, nonce: nonce++, data, gasLimit };
    const answer = await sign('transaction', { transaction: fields });
    expectSameAsEthers(answer, fields);
    expect(answer.decision.rule).toBe('deploy');

    expect(await broadcast(answer)).toMatchObject({
      from: address,
      status: '0x1',
      contractAddress: created,
      to: null,
    });
    expect(await chain.provider.getCode(created)).toBe(`0x${RUNTIME_CODE}`);
  });

  test('a delegation (EIP-7702) that the service has authorized', async () => {
    // The sender's own nonce is counted up before the authorizations are looked at.
    const request = { chainId: CHAIN, address: DELEGATE, nonce: nonce + 1 };
    const authorization = await sign('authorization', request);
    const { signature, yParity, r, s } = authorization;
    expect(
      verifyAuthorization(
        { ...request, nonce: BigInt(request.nonce), chainId: BigInt(CHAIN) },
        signature,
      ).toLowerCase(),
    ).toBe(address);

    const fields = {
      ...feeMarket(),
      type: 4,
      nonce: nonce++,
      to: RECIPIENT,
      value: '5',
      gasLimit: 100_000,
      authorizationList: [{ ...request, yParity, r: BigInt(r).toString(), s: BigInt(s).toString() }],
    };
    const answer = await sign('transaction', { transaction: fields });
    expectSameAsEthers(answer, {
      ...fields,
      authorizationList: [{ ...request, signature: Signature.from(signature) }],
    });

    expect(await broadcast(answer)).toMatchObject({ from: address, status: '0x1', type: '0x4' });
    nonce += 1;
    expect(await chain.provider.getCode(address)).toBe(`0xef0100${DELEGATE.slice(2)}`);
    expect(await chain.provider.call({ to: address })).toBe(FORTY_TWO);
    expect(await chain.provider.getTransactionCount(address)).toBe(nonce);
  });

  test('blobs (EIP-4844), without a side-car, byte for byte those of ethers', async () => {
    const fields = {
      ...feeMarket(),
      type: 3,
      // Not broadcast, so that it must not take a nonce that a later one waits for.
      nonce: 500,
      to: RECIPIENT,
      value: '1',
      gasLimit: 21_000,
      maxFeePerBlobGas: `${GWEI}`,
      blobVersionedHashes: [`0x01${'ab'.repeat(31)}`, `0x01${'cd'.repeat(31)}`],
    };
    const answer = await sign('transaction', { transaction: fields });
    expect(answer.rawTransaction).toMatch(/^0x03f8/);
    expectSameAsEthers(answer, fields);
  });
});

describe('recovers to the key', () => {
  test.each(['', 'Sign in to example.org', 'Grüezi 🌍\n\u0000', 'x'.repeat(40_000)])(
    'EIP-191: %.30s',
    async (message) => {
      const { signature } = await sign('message', { message });
      expect(verifyMessage(message, signature).toLowerCase()).toBe(address);
    },
  );

  test('EIP-191: bytes', async () => {
    const data = '0x00ff80fe';
    const { signature } = await sign('message', { data });
    expect(verifyMessage(Buffer.from(data.slice(2), 'hex'), signature).toLowerCase()).toBe(address);
  });

  test('EIP-712', async () => {
    const domain = { name: 'Ether Mail', version: '1', chainId: 1, verifyingContract: STRANGER };
    const types = {
      Person: [
        { name: 'name', type: 'string' },
        { name: 'wallets', type: 'address[]' },
      ],
      Mail: [
        { name: 'from', type: 'Person' },
        { name: 'to', type: 'Person[]' },
        { name: 'amount', type: 'uint256' },
        { name: 'tag', type: 'bytes32' },
      ],
    };
    const message = {
      from: { name: 'Cow', wallets: [RECIPIENT, DELEGATE] },
      to: [
        { name: 'Bob', wallets: [STRANGER] },
        { name: 'Böb', wallets: [] },
      ],
      amount: `${2n ** 256n - 1n}`,
      tag: `0x${'5a'.repeat(32)}`,
    };
    const { signature } = await sign('typed-data', { domain, types, primaryType: 'Mail', message });
    expect(verifyTypedData(domain, types, message, signature).toLowerCase()).toBe(address);
  });

  test('a digest, for a purpose that the policy names', async () => {
    const digest = keccak256(toUtf8Bytes('batch 17'));
    const answer = await sign('digest', { digest, purpose: 'rollup-batch' });
    expect(answer.digest).toBe(digest);
    expect(recoverAddress(digest, answer.signature).toLowerCase()).toBe(address);
  });
});

describe('refused', () => {
  test.each([
    ['another recipient', 'transaction', () => ({ transaction: { ...payment(), to: STRANGER } })],
    ['another chain', 'transaction', () => ({ transaction: { ...payment(), chainId: 1 } })],
    ['too much', 'transaction', () => ({ transaction: { ...payment(), value: `${ETHER + 1n}` } })],
    ['too high a fee', 'transaction', () => ({ transaction: { ...payment(), gasLimit: 30_000_000 } })],
    ['calldata', 'transaction', () => ({ transaction: { ...payment(), data: '0xa9059cbb' } })],
    ['another delegate', 'authorization', () => ({ chainId: CHAIN, address: STRANGER, nonce: 0 })],
    ['another purpose', 'digest', () => ({ digest: `0x${'07'.repeat(32)}`, purpose: 'something else' })],
  ])('%s', async (_name, operation, body) => {
    const answer = await signer.post(`/v1/keys/treasury/sign/${operation}`, body());
    const { code, requestId, decision } = expectStatus(403, answer);
    expect(code).toBe('policy_denied');
    expect(decision).toMatchObject({ effect: 'deny', policyRevision: 7 });
    decided.push({ requestId, effect: 'deny', outcome: 'denied' });
  });

  test('a second transaction with a nonce that is spent', async () => {
    const answer = await signer.post('/v1/keys/treasury/sign/transaction', {
      transaction: { ...payment(), nonce: 0, value: '77' },
    });
    const { code, requestId } = expectStatus(409, answer);
    expect(code).toBe('nonce_conflict');
    decided.push({ requestId, effect: 'allow', outcome: 'refused' });
  });
});

test('a batch: each item on its own', async () => {
  const signed = { ...payment(), nonce: nonce++ };
  const items = [
    { key: 'treasury', operation: 'transaction', transaction: signed },
    { key: 'treasury', operation: 'transaction', transaction: { ...payment(), to: STRANGER } },
    { key: 'treasury', operation: 'message', message: 'in a batch' },
    { key: 'treasury', operation: 'message', message: 7 },
    { key: 'nobody', operation: 'message', message: 'unknown key' },
  ];
  const answer = await signer.post<{ items: (SignAnswer & Problem)[] }>('/v1/sign/batch', { items });
  const [first, second, third, fourth, fifth, ...more] = expectStatus(200, answer).items;
  expect(more).toHaveLength(0);
  expect([first, second, third, fourth, fifth].map((item) => item?.status)).toEqual([
    200, 403, 200, 400, 404,
  ]);
  expect(verifyMessage('in a batch', third!.signature).toLowerCase()).toBe(address);
  expectSameAsEthers(first!, signed);
  expect(await broadcast(first!)).toMatchObject({ from: address, status: '0x1' });

  decided.push(
    { requestId: first!.requestId, effect: 'allow', outcome: 'done', receipt: first!.receipt },
    { requestId: second!.requestId, effect: 'deny', outcome: 'denied' },
    { requestId: third!.requestId, effect: 'allow', outcome: 'done', receipt: third!.receipt },
  );
});

describe('the audit log afterwards', () => {
  let vkey: string;
  let data: string;

  beforeAll(async () => {
    vkey = (await signer.get<string>('/v1/audit/key')).body.trim();
    ({ data } = service);
    await service.stop();
  });

  test('verifies, and holds each decision once', async () => {
    const report = await check();
    const signatures = decided.filter(({ outcome }) => outcome === 'done').length;
    // The long message and the long init code are there by their hashes only.
    expect(report).toMatchObject({ ok: true, signatures, digestsNotRecomputed: 2, unsignedTail: 0 });

    const log = logOf(data);
    const entries = log.all().map((stored) => ({ stored, entry: entryOf(stored) }));
    log.close();
    const signs = entries.filter(({ entry }) => entry.kind === 'sign');
    const logged = signs.map(({ stored, entry }) => ({
      requestId: entry.requestId,
      effect: entry.decision?.effect,
      outcome: entry.outcome,
      ...(entry.outcome === 'done' && {
        receipt: { index: stored.index, leafHash: Buffer.from(stored.leafHash).toString('hex') },
      }),
    }));
    expect(logged.toSorted(byRequest)).toEqual(decided.toSorted(byRequest));
    expect(
      signs.every(({ entry }) => entry.actor?.principal === 'backend' && entry.key?.name === 'treasury'),
    ).toBe(true);
    expect(entries.map(({ entry }) => entry.kind)).toEqual(
      expect.arrayContaining([
        'service.started',
        'policy.loaded',
        'key.created',
        'credential.created',
        'service.stopped',
      ]),
    );
  });

  test('names the entry in which one byte was changed', async () => {
    const index = signedIndex();
    const original = changeEntry(index, (bytes) => {
      const at = bytes.indexOf('"done"') + 1;
      bytes[at]! ^= 1;
      return { bytes, leaf: undefined };
    });
    expect(await check()).toMatchObject({
      ok: false,
      size: index,
      firstBad: { index, problem: 'leaf_hash' },
    });
    restoreEntry(original);
    expect(await check()).toMatchObject({ ok: true });
  });

  test('names the entry that was changed along with its leaf hash', async () => {
    const index = signedIndex();
    const original = changeEntry(index, (bytes) => {
      const changed = Buffer.from(
        bytes.toString('utf8').replace('"principal":"backend"', '"principal":"somebody"'),
      );
      return { bytes: changed, leaf: leafHash(changed) };
    });
    const report = await check();
    expect(report).toMatchObject({ ok: false, firstBad: { problem: 'checkpoint_root' } });
    const { index: from, through } = (report as Extract<typeof report, { ok: false }>).firstBad;
    expect(from <= index && index <= through!, `entries ${from} to ${through}`).toBe(true);
    restoreEntry(original);
    expect(await check()).toMatchObject({ ok: true });
  });

  async function check(): Promise<Awaited<ReturnType<typeof verifyLog>>> {
    const log = logOf(data);
    try {
      return await verifyLog(log, { vkey });
    } finally {
      log.close();
    }
  }

  /** One of the middle of those that carry a signature. */
  function signedIndex(): number {
    const signed = decided.flatMap(({ receipt }) =>
      receipt === undefined ? [] : [receipt as { index: number }],
    );
    return signed[Math.floor(signed.length / 2)]!.index;
  }

  interface Row {
    readonly index: number;
    readonly bytes: Uint8Array;
    readonly leaf: Uint8Array;
  }

  /** Returns what was there. */
  function changeEntry(
    index: number,
    change: (bytes: Buffer) => { bytes: Buffer; leaf: Buffer | undefined },
  ): Row {
    const log = logOf(data);
    const { bytes, leafHash: leaf } = log.all()[index]!;
    log.close();
    const changed = change(Buffer.from(bytes));
    restoreEntry({ index, bytes: changed.bytes, leaf: changed.leaf ?? leaf });
    return { index, bytes, leaf };
  }

  function restoreEntry({ index, bytes, leaf }: Row): void {
    const db = new DatabaseSync(path.join(data, 'countersign.db'));
    db.prepare('UPDATE audit_entries SET entry = ?, leaf_hash = ? WHERE idx = ?').run(bytes, leaf, index);
    db.close();
  }
});

function byRequest(a: { requestId?: string | undefined; outcome: string }, b: typeof a): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

function feeMarket(): { chainId: number; maxFeePerGas: string; maxPriorityFeePerGas: string } {
  return { chainId: CHAIN, maxFeePerGas: `${3n * GWEI}`, maxPriorityFeePerGas: `${GWEI}` };
}

/** A payment that the policy allows, with a nonce that is not spent. */
function payment(): ReturnType<typeof feeMarket> & TransactionLike {
  return { ...feeMarket(), type: 2, nonce: 1_000, to: RECIPIENT, value: '1', gasLimit: 30_000 };
}

async function sign(operation: string, body: object): Promise<SignAnswer> {
  const answer = await signer.post<SignAnswer>(`/v1/keys/treasury/sign/${operation}`, body);
  const signed = expectStatus(200, answer);
  expect(signed).toMatchObject({ operation, key: { name: 'treasury', version: 1, address } });
  expect(signed.decision).toMatchObject({ effect: 'allow', policyRevision: 7 });
  expect(signed.signature).toBe(Signature.from(signed).serialized);
  decided.push({ requestId: signed.requestId, effect: 'allow', outcome: 'done', receipt: signed.receipt });
  return signed;
}

/** ethers makes the same bytes of these fields and this signature, and recovers the key from them. */
function expectSameAsEthers(answer: SignAnswer, fields: object): void {
  const expected = Transaction.from({ ...fields, signature: answer.signature });
  expect(answer.rawTransaction).toBe(expected.serialized);
  expect(answer.transactionHash).toBe(expected.hash);
  expect(answer.digest).toBe(expected.unsignedHash);
  expect(expected.from?.toLowerCase()).toBe(address);
}

async function broadcast({ rawTransaction, transactionHash }: SignAnswer): Promise<unknown> {
  const { provider } = chain;
  expect(await provider.send('eth_sendRawTransaction', [rawTransaction])).toBe(transactionHash);
  let receipt: unknown = null;
  await until(async () => {
    receipt = await provider.send('eth_getTransactionReceipt', [transactionHash]);
    return receipt !== null;
  }, 5_000);
  return receipt;
}

/** A development chain of its own, on a port that the system chose. */
async function startAnvil(): Promise<Chain> {
  const { platform, arch } = process;
  const name = `@foundry-rs/anvil-${platform}-${arch === 'x64' ? 'amd64' : arch}`;
  const require = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'));
  const binary = path.join(path.dirname(require.resolve(`${name}/package.json`)), 'bin/anvil');
  const args = ['--host', '127.0.0.1', '--port', '0', '--chain-id', `${CHAIN}`, '--hardfork', 'prague'];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop);
  const url = `http://${await listeningAddress(child)}`;
  const provider = new JsonRpcProvider(url, CHAIN, { staticNetwork: true, cacheTimeout: -1 });
  return {
    provider,
    stop: () => {
      provider.destroy();
      stop();
    },
  };
}

async function listeningAddress({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of stdout!) {
    text += String(chunk);
    const listening = /^Listening on (\S+)$/m.exec(text)?.[1];
    if (listening !== undefined) {
      // A pipe that nobody reads would fill up and stop the chain.
      stdout!.resume();
      return listening;
    }
  }
  throw new Error(`anvil ended: ${text}`);
}
